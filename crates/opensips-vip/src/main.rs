//! ocf:smartvox:opensips-vip
fn main() -> std::process::ExitCode {
    opensips_vip::main()
}
