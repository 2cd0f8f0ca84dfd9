//! Prints the manual page of the agent: `make man`.

fn main() {
    print!(
        "{}",
        ocf::manual_page(&opensips_ra::DESCRIPTION, &opensips_ra::manual::MANUAL, "smartvox")
    );
}
