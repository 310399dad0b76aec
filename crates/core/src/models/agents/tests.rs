//! How each agent is launched, argument by argument, and that no text from outside ever becomes an option.

use super::*;
use crate::tasks::answer::Answer;
use proptest::prelude::*;
use serde_json::{Value, json};

const EVERY: [DialectKind; 4] = [DialectKind::Claude, DialectKind::Codex, DialectKind::Opencode, DialectKind::Command];

fn request(kind: RunKind) -> LaunchRequest {
    LaunchRequest {
        task_id: TaskId(7),
        run_id: RunId::new(TaskId(7), 1, 0xab),
        kind,
        command: "/usr/bin/agent".into(),
        extra_args: vec!["--mine".to_owned(), "a b".to_owned()],
        model: Some("m".to_owned()),
        session: Session::New { id: "11111111-2222-4333-8444-555555555555".to_owned() },
        worktree: "/w/7".into(),
        main_dir: Some("/src/shop".into()),
        git_dirs: Some(GitDirs { common: "/src/shop/.git".into(), own: "/src/shop/.git/worktrees/7".into() }),
        run_dir: "/run/7".into(),
        prompt_file: "/run/7/prompt.md".into(),
        prompt: PromptVia::Stdin,
        mode: Mode::Lines,
        title: "Add a\nhealth endpoint".to_owned(),
        answer_schema: json!({"type": "object"}),
        sandbox: true,
        codex_sandbox: CodexSandbox::FullAuto,
        trust_repository: false,
        orch: "/usr/bin/orch".into(),
        live: false,
        endpoint: None,
    }
}

fn launch(kind: DialectKind, request: &LaunchRequest) -> LaunchSpec {
    kind.dialect().launch(request).expect("a request that can be served")
}

/// The arguments, one per line.
fn args(kind: DialectKind, request: &LaunchRequest) -> String {
    launch(kind, request).args.join("\n")
}

fn lines(lines: &[&str]) -> String {
    lines.join("\n")
}

#[test]
fn only_a_working_claude_is_talked_to_and_only_where_that_is_wanted() {
    for (kind, live, stdin) in [
        (RunKind::Work, true, Stdin::Live),
        (RunKind::Work, false, Stdin::Prompt),
        (RunKind::Review, true, Stdin::Prompt),
        (RunKind::Route, true, Stdin::Prompt),
    ] {
        let spec = launch(DialectKind::Claude, &LaunchRequest { live, ..request(kind) });
        let asked = spec.args.join(" ").contains("--input-format stream-json --replay-user-messages");
        assert_eq!((spec.stdin, asked), (stdin, stdin == Stdin::Live), "{kind:?} {live}");
    }
    assert!(DialectKind::Command.dialect().live_reader(&Value::Null).is_none());
    let wanted = LaunchRequest { live: true, ..request(RunKind::Work) };
    assert_eq!(launch(DialectKind::Command, &wanted).stdin, Stdin::Prompt);
}

#[test]
fn claude_works_under_rules_that_close_the_users_checkout() {
    let expected = [
        "-p",
        "--output-format",
        "stream-json",
        "--verbose",
        "--model=m",
        "--session-id=11111111-2222-4333-8444-555555555555",
        "--permission-mode",
        "dontAsk",
        "--tools",
        "Bash,Edit,Write,Read,Grep,Glob,NotebookEdit,WebFetch,WebSearch,TaskOutput,TaskStop",
        "--allowedTools",
        "Bash,Edit,Write,Read,Grep,Glob,NotebookEdit,WebFetch,WebSearch,TaskOutput,TaskStop",
        "--disallowedTools=Edit(//src/shop/**)",
        "--disallowedTools=Bash(cd /src/shop)",
        "--disallowedTools=Bash(git -C /src/shop *)",
        "--disallowedTools=Bash(cd /src/shop/*)",
        "--disallowedTools=Bash(cd \"/src/shop\")",
        "--disallowedTools=Bash(git -C \"/src/shop\" *)",
        "--disallowedTools=Bash(cd \"/src/shop/*)",
        "--disallowedTools=Bash(cd '/src/shop')",
        "--disallowedTools=Bash(git -C '/src/shop' *)",
        "--disallowedTools=Bash(cd '/src/shop/*)",
        "--setting-sources",
        "user",
        "--strict-mcp-config",
        "--json-schema={\"type\":\"object\"}",
        "--mine",
        "a b",
    ];
    assert_eq!(args(DialectKind::Claude, &request(RunKind::Work)), lines(&expected));
}

#[test]
fn claude_without_sandbox_and_in_a_trusted_repository_has_no_rules() {
    let session = Session::Resume { id: "abc".to_owned() };
    let request = LaunchRequest {
        sandbox: false,
        trust_repository: true,
        model: None,
        session,
        extra_args: Vec::new(),
        ..request(RunKind::Work)
    };
    let expected = [
        "-p",
        "--output-format",
        "stream-json",
        "--verbose",
        "--resume=abc",
        "--permission-mode",
        "dontAsk",
        "--tools",
        "Bash,Edit,Write,Read,Grep,Glob,NotebookEdit,WebFetch,WebSearch,TaskOutput,TaskStop",
        "--allowedTools",
        "Bash,Edit,Write,Read,Grep,Glob,NotebookEdit,WebFetch,WebSearch,TaskOutput,TaskStop",
        "--json-schema={\"type\":\"object\"}",
    ];
    assert_eq!(args(DialectKind::Claude, &request), lines(&expected));
}

#[test]
fn claude_keeps_out_of_the_checkouts_root_only_if_the_worktree_lies_inside() {
    let request = LaunchRequest { worktree: "/src/shop/.worktrees/7".into(), ..request(RunKind::Work) };
    let args = args(DialectKind::Claude, &request);
    assert!(args.contains("Bash(cd /src/shop)") && !args.contains("/src/shop/"), "{args}");
}

#[test]
fn claude_reviews_with_reading_tools_and_routes_with_none() {
    let review = args(DialectKind::Claude, &request(RunKind::Review));
    assert!(
        review.contains("\n--tools\nRead,Grep,Glob\n--allowedTools\nRead,Grep,Glob\n--setting-sources\nuser\n"),
        "{review}"
    );
    let route = args(DialectKind::Claude, &request(RunKind::Route));
    assert!(route.contains("\ndontAsk\n--tools\n\n--allowedTools\n\n--setting-sources\nuser\n"), "{route}");
    assert!(route.contains("\n--json-schema={"), "{route}");
}

#[test]
fn claude_has_bounded_retries_and_no_other_traffic() {
    let env = launch(DialectKind::Claude, &request(RunKind::Work)).env;
    let env: Vec<String> = env.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let expected = [
        "API_TIMEOUT_MS=180000",
        "CLAUDE_CODE_DISABLE_ATTACHMENTS=1",
        "CLAUDE_CODE_DISABLE_AUTO_MEMORY=1",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1",
        "CLAUDE_CODE_MAX_RETRIES=2",
        "DISABLE_AUTOUPDATER=1",
    ];
    assert_eq!(env, expected);
    assert_eq!(launch(DialectKind::Claude, &request(RunKind::Route)).env["CLAUDE_CODE_MAX_RETRIES"], "1");
}

#[test]
fn codex_may_write_both_git_directories_of_a_linked_worktree() {
    let expected = [
        "exec",
        "--json",
        "--sandbox",
        "workspace-write",
        "-c",
        "sandbox_workspace_write.network_access=true",
        "--add-dir=/src/shop/.git",
        "--add-dir=/src/shop/.git/worktrees/7",
        "--cd=/w/7",
        "--model=m",
        "-c",
        "features.unbounded_connection_retries=false",
        "-c",
        "check_for_update_on_startup=false",
        "-c",
        "project_doc_max_bytes=0",
        "--output-schema=/run/7/answer-schema.json",
        "--mine",
        "a b",
        "-",
    ];
    let mut request = request(RunKind::Work);
    assert_eq!(args(DialectKind::Codex, &request), lines(&expected));
    let spec = launch(DialectKind::Codex, &request);
    assert_eq!(spec.files, [("/run/7/answer-schema.json".into(), "{\"type\":\"object\"}".to_owned())].into());
    request.codex_sandbox = CodexSandbox::WorkspaceWrite;
    assert_eq!(args(DialectKind::Codex, &request), lines(&expected));
    request.git_dirs = None;
    assert!(args(DialectKind::Codex, &request).contains("\n--add-dir=/w/7/.git\n--cd"));
}

#[test]
fn codex_resumes_with_its_options_before_the_subcommand() {
    let request = LaunchRequest {
        session: Session::Resume { id: "01a1-b".to_owned() },
        model: None,
        codex_sandbox: CodexSandbox::DangerFullAccess,
        trust_repository: true,
        ..request(RunKind::Work)
    };
    let expected = [
        "exec",
        "--json",
        "--sandbox",
        "danger-full-access",
        "--cd=/w/7",
        "-c",
        "features.unbounded_connection_retries=false",
        "-c",
        "check_for_update_on_startup=false",
        "--output-schema=/run/7/answer-schema.json",
        "--mine",
        "a b",
        "resume",
        "01a1-b",
        "-",
    ];
    assert_eq!(args(DialectKind::Codex, &request), lines(&expected));
}

#[test]
fn codex_is_read_only_unless_it_works_and_bypassed_only_if_the_user_says_so() {
    let none = LaunchRequest { codex_sandbox: CodexSandbox::None, ..request(RunKind::Work) };
    assert!(
        args(DialectKind::Codex, &none).starts_with("exec\n--json\n--dangerously-bypass-approvals-and-sandbox\n--cd")
    );
    let review = LaunchRequest { codex_sandbox: CodexSandbox::None, ..request(RunKind::Review) };
    assert!(args(DialectKind::Codex, &review).starts_with("exec\n--json\n--sandbox\nread-only\n--cd="));
    let route = args(DialectKind::Codex, &request(RunKind::Route));
    let start = [
        "exec",
        "--json",
        "--sandbox",
        "read-only",
        "--skip-git-repo-check",
        "-c",
        "features.shell_tool=false",
        "-c",
        "features.unified_exec=false",
        "-c",
        "features.multi_agent=false",
        "-c",
        "features.goals=false",
        "-c",
        "web_search=\"disabled\"",
        "--cd=/w/7",
    ];
    assert!(route.starts_with(&lines(&start)), "{route}");
    assert!(route.contains("--output-schema="), "{route}");
}

#[test]
fn opencode_gets_a_title_of_one_line_and_no_question_to_ask() {
    let expected = [
        "run",
        "--format",
        "json",
        "--title=Add a health endpoint",
        "--model=m",
        "--print-logs",
        "--log-level",
        "ERROR",
        "--mine",
        "a b",
    ];
    let mut request = request(RunKind::Work);
    assert_eq!(args(DialectKind::Opencode, &request), lines(&expected));
    let env = launch(DialectKind::Opencode, &request).env;
    let env: Vec<String> = env.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let expected = [
        "OPENCODE_DISABLE_AUTOUPDATE=1",
        "OPENCODE_DISABLE_PROJECT_CONFIG=1",
        r#"OPENCODE_PERMISSION={"external_directory":{"*":"allow","/src/shop/*":"deny","/src/shop":"deny"},"doom_loop":"deny"}"#,
    ];
    assert_eq!(env, expected);

    (request.sandbox, request.trust_repository, request.model) = (false, true, None);
    request.session = Session::Resume { id: "ses_1".to_owned() };
    request.title = " \n".to_owned();
    let spec = launch(DialectKind::Opencode, &request);
    assert_eq!(spec.args[3..5], ["--title=task", "--session=ses_1"]);
    let permission = r#"{"external_directory":{"*":"allow"},"doom_loop":"deny"}"#;
    assert_eq!(spec.env["OPENCODE_PERMISSION"], permission);
    assert!(!spec.env.contains_key("OPENCODE_DISABLE_PROJECT_CONFIG"));
}

#[test]
fn a_live_opencode_is_a_server_behind_orchs_own_program_and_gets_the_options_as_parameters() {
    let live = |model: &str, args: &[&str]| LaunchRequest {
        live: true,
        model: Some(model.to_owned()),
        extra_args: args.iter().map(|arg| (*arg).to_owned()).collect(),
        session: Session::Resume { id: "ses_1".to_owned() },
        ..request(RunKind::Work)
    };
    let wanted = live("vendor/some/model", &["--agent", "build", "--variant=high", "--thinking"]);
    let spec = launch(DialectKind::Opencode, &wanted);
    let expected = [
        "__opencode",
        "/usr/bin/agent",
        "serve",
        "--hostname=127.0.0.1",
        "--port=0",
        "--print-logs",
        "--log-level",
        "ERROR",
    ];
    assert_eq!((spec.program.to_str(), spec.args.join("\n")), (Some("/usr/bin/orch"), lines(&expected)));
    let opening = json!({
        "session": "ses_1", "title": "Add a health endpoint", "model": {"providerID": "vendor", "modelID": "some/model"},
        "agent": "build", "variant": "high", "thinking": true,
    });
    assert_eq!((spec.stdin, spec.opening), (Stdin::Live, opening));
    let one_shot = LaunchRequest { live: false, ..wanted };
    assert_eq!(spec.env, launch(DialectKind::Opencode, &one_shot).env, "the same permissions");
    // What only the one-shot command knows is left to it.
    for unknown in [live("m", &[]), live("p/m", &["--file=notes.md"]), live("p/m", &["--agent"])] {
        let spec = launch(DialectKind::Opencode, &unknown);
        assert_eq!((spec.stdin, spec.args[0].as_str()), (Stdin::Prompt, "run"));
    }
}

#[test]
fn opencode_reads_only_when_it_reviews_and_has_no_tool_when_it_routes() {
    let permission = |kind| launch(DialectKind::Opencode, &request(kind)).env["OPENCODE_PERMISSION"].clone();
    assert_eq!(permission(RunKind::Route), r#"{"*":"deny"}"#);
    assert_eq!(
        permission(RunKind::Review),
        r#"{"*":"deny","read":{"*":"allow","*.env":"deny","*.env.*":"deny"},"grep":"allow","glob":"allow","list":"allow"}"#
    );
}

#[test]
fn a_declared_program_gets_its_placeholders_inside_one_argument_each() {
    let extra_args = ["--model", "{model}", "--at={worktree} #{task_id}", "{run_id}", "{prompt_file}", "{\"a\":1}"];
    let mut request = LaunchRequest { extra_args: extra_args.map(str::to_owned).into(), ..request(RunKind::Work) };
    let spec = launch(DialectKind::Command, &request);
    assert_eq!(spec.args, ["--model", "m", "--at=/w/7 #7", "7-1-000000ab", "/run/7/prompt.md", "{\"a\":1}"]);
    assert_eq!(spec.stdin, Stdin::Prompt);
    assert_eq!(spec.env, [("ORCH_PROMPT_FILE".to_owned(), "/run/7/prompt.md".to_owned())].into());
    request.prompt = PromptVia::File;
    assert_eq!(launch(DialectKind::Command, &request).stdin, Stdin::Null);
}

#[test]
fn the_prompt_comes_on_stdin_and_the_directory_is_the_worktree() {
    for dialect in EVERY {
        for kind in [RunKind::Work, RunKind::Review, RunKind::Route] {
            let spec = launch(dialect, &request(kind));
            assert_eq!((spec.stdin, spec.cwd.to_str()), (Stdin::Prompt, Some("/w/7")));
            let secret = |name: &String| ["KEY", "TOKEN", "SECRET"].iter().any(|word| name.contains(word));
            assert!(!spec.env.keys().any(secret));
        }
    }
    assert_eq!(
        launch(DialectKind::Claude, &request(RunKind::Work)).pass_env,
        ["ANTHROPIC_*", "CLAUDE_*", "DISABLE_AUTOUPDATER"]
    );
}

#[test]
fn the_real_schema_fits_into_an_argument() {
    for dialect in EVERY {
        launch(dialect, &LaunchRequest { answer_schema: Answer::json_schema(), ..request(RunKind::Work) });
    }
}

#[test]
fn a_value_that_a_cli_would_misread_is_refused_with_the_reason() {
    let refused = |request: &LaunchRequest| -> Vec<String> {
        EVERY.iter().filter_map(|kind| kind.dialect().launch(request).err()).map(|e| e.to_string()).collect()
    };
    for model in ["", "--dangerously-skip-permissions", "a b", "a\0"] {
        assert_eq!(refused(&LaunchRequest { model: Some(model.to_owned()), ..request(RunKind::Work) }).len(), 4);
    }
    let model = LaunchRequest { model: Some("-x".to_owned()), ..request(RunKind::Work) };
    assert_eq!(refused(&model)[0], "the model cannot be passed to claude: \"-x\" is not a model's name");
    let session = Session::Resume { id: "--last".to_owned() };
    assert_eq!(refused(&LaunchRequest { session, ..request(RunKind::Work) }).len(), 3);
    let long = vec!["x".repeat(1 << 17)];
    assert_eq!(refused(&LaunchRequest { extra_args: long, ..request(RunKind::Work) }).len(), 4);
}

proptest! {
    #[test]
    fn text_from_outside_stays_inside_the_argument_it_belongs_to(
        text in "[-='\"$() {}\\PC]{1,30}",
        model in "[-a-z/=$'\"]{1,12}",
        kind in prop::sample::select(vec![RunKind::Work, RunKind::Review, RunKind::Route]),
        resumed in any::<bool>(),
    ) {
        let plain = request(kind);
        let session = if resumed { Session::Resume { id: "abc".to_owned() } } else { plain.session.clone() };
        let plain = LaunchRequest { session, ..plain };
        let hostile = LaunchRequest {
            title: text.clone(),
            model: Some(model),
            worktree: format!("/w/{text}").into(),
            main_dir: Some(format!("/m/{text}").into()),
            run_dir: format!("/r/{text}").into(),
            git_dirs: Some(GitDirs { common: format!("/c/{text}").into(), own: format!("/o/{text}").into() }),
            ..plain.clone()
        };
        for dialect in EVERY {
            let Ok(spec) = dialect.dialect().launch(&hostile) else { continue };
            let plain = launch(dialect, &plain);
            prop_assert_eq!(spec.args.len(), plain.args.len());
            for (arg, expected) in spec.args.iter().zip(&plain.args) {
                let flag = |arg: &str| arg.split_once('=').map_or(arg.to_owned(), |(flag, _)| flag.to_owned());
                prop_assert_eq!(flag(arg), flag(expected));
                prop_assert!(arg == expected || expected.starts_with("--"));
            }
        }
    }

    #[test]
    fn a_rule_for_claude_closes_its_own_parenthesis_only(main in "/[ -~]{0,30}") {
        let request = LaunchRequest { main_dir: Some(main.into()), ..request(RunKind::Work) };
        for arg in launch(DialectKind::Claude, &request).args {
            if let Some(rule) = arg.strip_prefix("--disallowedTools=") {
                prop_assert_eq!((rule.matches('(').count(), rule.matches(')').count()), (1, 1));
                prop_assert!(rule.ends_with(')'));
            }
        }
    }
}
