//! Prints the manual page of the agent: `make man`.

fn main() {
    print!(
        "{}",
        ocf::manual_page(
            &opensips_vip::description::DESCRIPTION,
            &opensips_vip::manual::MANUAL,
            "smartvox"
        )
    );
}
