//! Whether a file is a program that this machine runs, by its first bytes (elf(5)): told before
//! anything is executed.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// `e_ident`, `e_type` and `e_machine`: the same in ELF files of 32 and 64 bits.
const HEADER: usize = 20;
/// The whole of it, of 64 bits.
const HEADER_64: usize = 64;

const ET_EXEC: u16 = 2;
const ET_DYN: u16 = 3;

/// Why a file is no program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoProgram {
    /// Nothing is in it.
    Empty,
    /// It begins as no program does.
    Unknown,
    /// An object file, or what a crash left.
    NotExecutable,
    /// For another machine: `e_machine`.
    Machine(u16),
    /// It ends before its table of program headers does: a copy that was broken off. The kernel
    /// says ENOEXEC, and execvp(3) would have a shell read it.
    Truncated,
}

impl fmt::Display for NoProgram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("an empty file"),
            Self::Unknown => f.write_str("no ELF executable"),
            Self::Truncated => f.write_str("an ELF file that was broken off"),
            Self::NotExecutable => f.write_str("an ELF file that can't be executed"),
            Self::Machine(machine) => match machine_name(*machine) {
                Some(name) => write!(f, "built for another machine ({name})"),
                None => write!(f, "built for another machine (ELF machine {machine})"),
            },
        }
    }
}

/// What a file is, by its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing speaks against executing it.
    Program,
    /// `#!`
    Script,
    /// Something else.
    Not(NoProgram),
}

/// Judges a file. One that can't be read may be executed all the same, and the kernel would not run
/// a script that it can't read.
pub(super) fn kind_of(path: &Path) -> Kind {
    match (beginning(path), beginning(Path::new("/proc/self/exe"))) {
        (Some((found, length)), Some((own, _))) => match judge(&found, &own) {
            Kind::Program if is_broken_off(&found, length) => Kind::Not(NoProgram::Truncated),
            kind => kind,
        },
        _ => Kind::Program,
    }
}

/// A file's first bytes, and how many it has.
fn beginning(path: &Path) -> Option<(Vec<u8>, u64)> {
    let mut found = Vec::with_capacity(HEADER_64);
    let file = File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    file.take(HEADER_64 as u64).read_to_end(&mut found).ok()?;
    Some((found, length))
}

/// Whether an ELF file of this length is too short for its program headers: `e_phoff`, and
/// `e_phentsize` times `e_phnum`. One of another byte order is left to the kernel.
fn is_broken_off(found: &[u8], length: u64) -> bool {
    const CLASS: usize = 4;
    const ORDER: usize = 5;
    const NATIVE: u8 = if cfg!(target_endian = "little") { 1 } else { 2 };
    if found.get(ORDER) != Some(&NATIVE) {
        return false;
    }
    let half = |at: usize| {
        let bytes = found.get(at..at.checked_add(2)?)?;
        Some(u64::from(u16::from_ne_bytes(bytes.try_into().ok()?)))
    };
    let table = match found.get(CLASS) {
        Some(1) => found
            .get(28..32)
            .and_then(|bytes| Some(u64::from(u32::from_ne_bytes(bytes.try_into().ok()?))))
            .zip(half(42).zip(half(44))),
        Some(2) => found
            .get(32..40)
            .and_then(|bytes| Some(u64::from_ne_bytes(bytes.try_into().ok()?)))
            .zip(half(54).zip(half(56))),
        _ => return false,
    };
    table.is_none_or(|(begin, (size, count))| begin.saturating_add(size * count) > length)
}

/// Judges a file's first bytes, beside those of a program that is known to run here: this one.
fn judge(found: &[u8], own: &[u8]) -> Kind {
    if found.is_empty() {
        return Kind::Not(NoProgram::Empty);
    }
    if found.starts_with(b"#!") {
        return Kind::Script;
    }
    let Some((kind, machine)) = read_header(found) else {
        return Kind::Not(NoProgram::Unknown);
    };
    if !matches!(kind, ET_EXEC | ET_DYN) {
        return Kind::Not(NoProgram::NotExecutable);
    }
    match read_header(own) {
        Some((_, ours)) if !runs_on(ours, machine) => Kind::Not(NoProgram::Machine(machine)),
        _ => Kind::Program,
    }
}

/// `e_type` and `e_machine`, in the byte order that the file says is its own.
fn read_header(bytes: &[u8]) -> Option<(u16, u16)> {
    let bytes: &[u8; HEADER] = bytes.get(..HEADER)?.try_into().ok()?;
    let [0x7f, b'E', b'L', b'F', _, order, .., k0, k1, m0, m1] = *bytes else { return None };
    let number = match order {
        1 => u16::from_le_bytes,
        2 => u16::from_be_bytes,
        _ => return None,
    };
    Some((number([k0, k1]), number([m0, m1])))
}

const X86: u16 = 3;
const X86_64: u16 = 62;
const ARM: u16 = 40;
const AARCH64: u16 = 183;
const POWERPC: u16 = 20;
const POWERPC64: u16 = 21;

/// Whether a kernel that runs programs of one machine may run those of another: its own, and the 32
/// bits beside its 64 (or a 64-bit kernel below an agent of 32).
fn runs_on(ours: u16, theirs: u16) -> bool {
    const FAMILIES: [[u16; 2]; 3] = [[X86, X86_64], [ARM, AARCH64], [POWERPC, POWERPC64]];
    ours == theirs
        || FAMILIES.iter().any(|family| family.contains(&ours) && family.contains(&theirs))
}

/// The machines that OpenSIPS is packaged for.
fn machine_name(machine: u16) -> Option<&'static str> {
    Some(match machine {
        X86 => "x86",
        8 => "MIPS",
        POWERPC => "PowerPC",
        POWERPC64 => "PowerPC64",
        22 => "S/390",
        ARM => "ARM",
        X86_64 => "x86-64",
        AARCH64 => "AArch64",
        243 => "RISC-V",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(order: u8, kind: u16, machine: u16) -> Vec<u8> {
        let bytes =
            |number: u16| if order == 2 { number.to_be_bytes() } else { number.to_le_bytes() };
        let mut header = vec![0x7f, b'E', b'L', b'F', 2, order, 1];
        header.resize(16, 0);
        header.extend(bytes(kind));
        header.extend(bytes(machine));
        header
    }

    #[test]
    fn by_the_first_bytes() {
        let here = header(1, ET_DYN, X86_64);
        let judged = |found: &[u8]| judge(found, &here);
        assert_eq!(judged(&here), Kind::Program);
        assert_eq!(judged(&header(1, ET_EXEC, X86_64)), Kind::Program);
        assert_eq!(judged(&header(1, ET_EXEC, X86)), Kind::Program);
        assert_eq!(judged(b"#!/bin/sh\n"), Kind::Script);
        assert_eq!(judged(b""), Kind::Not(NoProgram::Empty));
        assert_eq!(judged(b"\x7fELF\x02\x01"), Kind::Not(NoProgram::Unknown));
        assert_eq!(judged(&[0; 64]), Kind::Not(NoProgram::Unknown));
        assert_eq!(judged(&header(3, ET_EXEC, X86_64)), Kind::Not(NoProgram::Unknown));
        // An object file, a core.
        for kind in [1, 4] {
            assert_eq!(judged(&header(1, kind, X86_64)), Kind::Not(NoProgram::NotExecutable));
        }
        assert_eq!(judged(&header(1, ET_DYN, AARCH64)), Kind::Not(NoProgram::Machine(AARCH64)));
        assert_eq!(judged(&header(2, ET_DYN, 22)), Kind::Not(NoProgram::Machine(22)));
        assert_eq!(judge(&header(1, ET_DYN, ARM), &header(1, ET_DYN, AARCH64)), Kind::Program);
    }

    #[test]
    fn a_copy_that_was_broken_off() {
        let (found, length) = beginning(Path::new("/proc/self/exe")).unwrap();
        assert!(!is_broken_off(&found, length));
        assert!(is_broken_off(&found, 64));
        assert!(is_broken_off(&found[..30], 30));
        let mut endless = found.clone();
        endless[32..40].fill(0xff);
        assert!(is_broken_off(&endless, length));
    }

    #[test]
    fn programs_of_this_machine() {
        assert_eq!(kind_of(Path::new("/proc/self/exe")), Kind::Program);
        assert_eq!(kind_of(Path::new("/etc/passwd")), Kind::Not(NoProgram::Unknown));
        assert_eq!(kind_of(Path::new("/no/such/program")), Kind::Program);
    }

    #[test]
    fn words() {
        assert_eq!(NoProgram::Machine(183).to_string(), "built for another machine (AArch64)");
        assert!(NoProgram::Machine(4711).to_string().contains("ELF machine 4711"));
    }
}
