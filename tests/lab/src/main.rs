//! A real Corosync + Pacemaker cluster in namespaces on one machine.

fn main() -> std::process::ExitCode {
    lab::command_line::run(std::env::args_os())
}
