//! Prints the manual page of the agent: `make man`.

fn main() {
    print!("{}", ocf::manual_page(&opensips_ra::description::DESCRIPTION, "smartvox"));
}
