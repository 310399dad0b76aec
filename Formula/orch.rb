# Made by scripts/make-formula from packaging/orch.rb.in; not edited by hand.
class Orch < Formula
  desc "Gives your tasks to coding agents and judges the result by evidence"
  homepage "https://github.com/orch-agents/orch"
  license "MIT"
  head "https://github.com/orch-agents/orch.git", branch: "main"

  head do
    depends_on "rust" => :build
  end

  depends_on "git"
  depends_on "tmux"

  def install
    if build.head?
      system "cargo", "install", *std_cargo_args
      system bin/"orch", "man", buildpath/"man"
      generate_completions_from_executable(bin/"orch", "completions")
    else
      bin.install "orch"
      bash_completion.install "completions/orch.bash" => "orch"
      zsh_completion.install "completions/_orch"
      fish_completion.install "completions/orch.fish"
    end
    man1.install Dir["man/*.1"]

    # A unit that Homebrew makes ends all that it started: tmux and the agents too. This one leaves them alone.
    (prefix/"homebrew.orch.service").write <<~UNIT if OS.linux?
      [Unit]
      Description=orch gives tasks to coding agents
      Documentation=man:orch(1)
      StartLimitIntervalSec=0

      [Service]
      Type=notify
      ExecStart="#{opt_bin}/orch" serve
      Environment="PATH=#{std_service_path_env}"
      ExecReload=/bin/kill -HUP $MAINPID
      # tmux and the agents in it live on, however the daemon ends.
      KillMode=process
      OOMPolicy=continue
      TasksMax=infinity
      Restart=on-failure
      RestartSec=5
      # Wrong usage; another daemon has the home.
      RestartPreventExitStatus=2 7
      TimeoutStartSec=15min
      TimeoutStopSec=20
      WatchdogSec=120
      WatchdogSignal=SIGKILL

      [Install]
      WantedBy=default.target
    UNIT
  end

  def caveats
    <<~CAVEATS
      orch drives coding agents that you install and log in with yourself: claude, codex or opencode.
      Agents work better where these are there, too:
        brew install ripgrep fd trash
      What is missing: orch doctor. The service: brew services start orch, then orch service status.
    CAVEATS
  end

  service do
    # On Linux the unit above takes the place of one that is made from here.
    run macos: [opt_bin/"orch", "serve"]
    # `orch shutdown` is an order: only what failed is started again.
    keep_alive successful_exit: false
    # The agents' programs are looked for here; one that lies elsewhere is named by `agents.<name>.command`.
    environment_variables PATH: std_service_path_env
    process_type :interactive
    log_path var/"log/orch.log"
    error_log_path var/"log/orch.error.log"
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/orch version") unless build.head?
    ENV["ORCH_HOME"] = testpath/"home"
    assert_match "tasks", shell_output("#{bin}/orch config show --json")
    assert_path_exists man1/"orch-task.1"
  end
end
