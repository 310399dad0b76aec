//! The three tasks of the demo, with a text for a real agent and a script for the scripted one.

use orch_api::types::{NewTask, TaskDraft};

/// One task.
struct Part {
    title: &'static str,
    words: &'static str,
    script: &'static str,
}

const PARTS: [Part; 3] = [
    Part {
        title: "Write a contributing guide",
        words: "Write `CONTRIBUTING.md`: in a few lines, how to check a change (`sh check.sh`) before it is sent.",
        script: "say I write down how a change is checked.\n\
            wait 600ms\n\
            write CONTRIBUTING.md # Contributing\\n\\nBefore you send a change, run `sh check.sh`.\n\
            run sh check.sh\n\
            commit Tell how to contribute",
    },
    Part {
        title: "Greet several people",
        words: "`sh greet.sh Ada Bob` shall greet both, one line each; without a name it still greets the world. Put the \
            output of both calls into `examples.txt`.",
        script: "say First I look at what is there.\n\
            run cat greet.sh\n\
            wait 700ms\n\
            say It reads only the first name; a loop over all of them will do.\n\
            write greet.sh #!/bin/sh\\n# Greets everybody who is named, or the world.\\n[ $# -gt 0 ] || set -- world\\nfor name; \
            do\\n  echo \"Hello, $name!\"\\ndone\n\
            run sh greet.sh Ada Bob\n\
            wait 500ms\n\
            write examples.txt Hello, Ada!\\nHello, Bob!\\nHello, world!\n\
            run sh check.sh\n\
            commit Greet everybody who is named",
    },
    Part {
        title: "Add a farewell",
        words: "`sh farewell.sh Ada` prints `Goodbye, Ada!`; without a name it says goodbye to the world.",
        script: "say The farewell goes beside the greeting.\n\
            wait 500ms\n\
            write farewell.sh #!/bin/sh\\necho \"Goodbye, ${1:-world}!\"\n\
            run sh farewell.sh Ada\n\
            commit Add a farewell\n\
            on-retry:\n\
            say The check asks for a line that tells how it is called.\n\
            wait 500ms\n\
            write farewell.sh #!/bin/sh\\n# Usage: sh farewell.sh [NAME]\\necho \"Goodbye, ${1:-world}!\"\n\
            run sh check.sh\n\
            commit Tell how the farewell is called",
    },
];

/// Returns the tasks, with their scripts for the scripted agent.
pub(super) fn all(scripted: bool) -> Vec<NewTask> {
    let body = |part: &Part| match scripted {
        true => format!("{}\n\n```orch-script\n{}\n```", part.words, part.script),
        false => part.words.to_owned(),
    };
    let task = |part: &Part| NewTask {
        task: TaskDraft { title: part.title.to_owned(), body: body(part), ..TaskDraft::default() },
        ..NewTask::default()
    };
    PARTS.iter().map(task).collect()
}
