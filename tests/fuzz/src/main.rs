//! One program for all targets: the variable `TARGET` names the one that gets the inputs. `tests/fuzz/run`
//! builds and calls it.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

type Target = (&'static str, fn(&[u8]));

const CRATES: [&[Target]; 6] = [
    hostfs::fuzzing::TARGETS,
    hostnet::fuzzing::TARGETS,
    hostproc::fuzzing::TARGETS,
    ocf::fuzzing::TARGETS,
    opensips_ra::fuzzing::TARGETS,
    opensips_vip::fuzzing::TARGETS,
];

static TARGET: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    let wanted = std::env::var("TARGET").unwrap_or_default();
    let all = || CRATES.iter().flat_map(|targets| targets.iter());
    let Some((_, target)) = all().find(|(name, _)| *name == wanted) else {
        let names: Vec<&str> = all().map(|(name, _)| *name).collect();
        eprintln!("TARGET={wanted} is not one of {}", names.join(" "));
        std::process::exit(2);
    };
    *target
});

fuzz_target!(|input: &[u8]| {
    (*TARGET)(input);
});
