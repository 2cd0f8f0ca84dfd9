//! The process table that all processes share, as the daemon's shared memory: a file in memory
//! whose descriptor every process inherits. Each field has one writer, so nothing is locked and a
//! stopped process blocks no other.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::FileExt;

use nix::sys::memfd::{MFdFlags, memfd_create};
use serde_json::Value;

use crate::error::Error;

/// Bytes for one process: pid and type as text, padded with zeros.
const PROCESS_SIZE: usize = 128;
const PROCESSES: usize = 512;
/// Eight bytes for each process: the SIP requests that it received.
const REQUESTS: usize = PROCESS_SIZE * PROCESSES;
/// The sharing tags as JSON, padded with zeros.
const TAGS: usize = REQUESTS + 8 * PROCESSES;
const TAGS_SIZE: usize = 4096;

/// A line of the process table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) id: usize,
    pub(crate) pid: u32,
    /// As MI's `ps` names it.
    pub(crate) kind: String,
}

#[derive(Debug)]
pub(crate) struct Shared {
    file: File,
}

impl Shared {
    /// By the attendant; the descriptor is inherited by what it starts.
    pub(crate) fn create() -> Result<Self, Error> {
        let file: OwnedFd = memfd_create("opensips process table", MFdFlags::empty())
            .map_err(|errno| Error::system("memfd_create", errno))?;
        let shared = Self { file: File::from(file) };
        shared
            .file
            .set_len((TAGS + TAGS_SIZE) as u64)
            .map_err(|source| Error::System { what: "process table", source })?;
        Ok(shared)
    }

    /// By a worker.
    pub(crate) fn open(descriptor: RawFd) -> Result<Self, Error> {
        OpenOptions::new()
            .read(true)
            .write(true)
            .open(format!("/proc/self/fd/{descriptor}"))
            .map(|file| Self { file })
            .map_err(|source| Error::System { what: "process table", source })
    }

    pub(crate) fn descriptor(&self) -> RawFd {
        self.file.as_raw_fd()
    }

    /// By the attendant alone.
    pub(crate) fn set_process(&self, process: &Process) -> io::Result<()> {
        let mut slot = format!("{} {}", process.pid, process.kind).into_bytes();
        slot.resize(PROCESS_SIZE, 0);
        self.file.write_all_at(&slot, (process.id * PROCESS_SIZE) as u64)
    }

    /// All processes that were started, in the order of their ids.
    pub(crate) fn processes(&self) -> io::Result<Vec<Process>> {
        let mut table = vec![0; REQUESTS];
        self.file.read_exact_at(&mut table, 0)?;
        let slots = table.chunks_exact(PROCESS_SIZE).enumerate();
        Ok(slots
            .filter_map(|(id, slot)| {
                let text = String::from_utf8_lossy(slot);
                let (pid, kind) = text.trim_end_matches('\0').split_once(' ')?;
                Some(Process { id, pid: pid.parse().ok()?, kind: kind.to_owned() })
            })
            .collect())
    }

    /// By worker `id` alone, which counts its requests itself.
    pub(crate) fn set_requests(&self, id: usize, requests: u64) -> io::Result<()> {
        self.file.write_all_at(&requests.to_le_bytes(), (REQUESTS + 8 * id) as u64)
    }

    /// The requests that all workers received.
    pub(crate) fn requests(&self) -> io::Result<u64> {
        let mut counters = vec![0; 8 * PROCESSES];
        self.file.read_exact_at(&mut counters, REQUESTS as u64)?;
        let numbers = counters.chunks_exact(8).filter_map(|bytes| bytes.try_into().ok());
        Ok(numbers.map(u64::from_le_bytes).sum())
    }

    /// The sharing tags as MI lists them; null until someone wrote them.
    pub(crate) fn tags(&self) -> io::Result<Value> {
        let mut text = vec![0; TAGS_SIZE];
        self.file.read_exact_at(&mut text, TAGS as u64)?;
        let end = text.iter().position(|byte| *byte == 0).unwrap_or(TAGS_SIZE);
        text.truncate(end);
        Ok(serde_json::from_slice(&text).unwrap_or(Value::Null))
    }

    /// By the process that serves the MI command.
    pub(crate) fn set_tags(&self, tags: &Value) -> io::Result<()> {
        let mut text = tags.to_string().into_bytes();
        if text.len() > TAGS_SIZE {
            return Err(io::ErrorKind::StorageFull.into());
        }
        text.resize(TAGS_SIZE, 0);
        self.file.write_all_at(&text, TAGS as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_process_writes_another_reads() {
        let writer = Shared::create().unwrap();
        let reader = Shared::open(writer.descriptor()).unwrap();
        assert_eq!(reader.tags().unwrap(), Value::Null);
        let process = |id| Process { id, pid: 4711, kind: "SIP receiver udp:[::1]:5060".into() };
        for id in [0, 511] {
            writer.set_process(&process(id)).unwrap();
            writer.set_requests(id, 21).unwrap();
        }
        assert_eq!(reader.processes().unwrap(), [process(0), process(511)]);
        assert_eq!(reader.requests().unwrap(), 42);
        writer.set_tags(&serde_json::json!([{"Tag": "vip"}])).unwrap();
        writer.set_tags(&serde_json::json!([])).unwrap();
        assert_eq!(reader.tags().unwrap(), serde_json::json!([]));
    }
}
