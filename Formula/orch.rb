# A reference copy. The formula of the tap is made from it when orch is released.
class Orch < Formula
  desc "Gives your tasks to coding agents and judges the result by evidence"
  homepage "https://github.com/orch-agents/orch"
  license "MIT"
  head "https://github.com/orch-agents/orch.git", branch: "main"

  depends_on "rust" => :build
  depends_on "git"
  depends_on "tmux"

  def install
    system "cargo", "install", *std_cargo_args
  end

  service do
    run [opt_bin/"orch", "serve"]
    keep_alive crashed: true
    # The agents' programs are looked for here; one that lies elsewhere is named by `agents.<name>.command`.
    environment_variables PATH: std_service_path_env
    log_path var/"log/orch.log"
    error_log_path var/"log/orch.error.log"
  end

  test do
    assert_match "orch", shell_output("#{bin}/orch version")
  end
end
