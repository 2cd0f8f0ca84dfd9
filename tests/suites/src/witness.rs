//! The witness of the machine's own stalls. A virtual machine can stop as a whole for seconds; a
//! round that was measured across such a stall says nothing of the program.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A gap in the witness's own clock.
#[derive(Clone, Copy, Debug)]
pub struct Stall {
    /// When it began.
    pub from: Instant,
    /// How long it was.
    pub length: Duration,
}

/// A thread with real-time priority that wakes up every few milliseconds and notes each gap of
/// more than `threshold` in its own clock.
#[derive(Debug)]
pub struct Witness {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Stall>>,
}

impl Witness {
    /// Starts watching.
    pub fn start(threshold: Duration) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            // Without the priority (no privilege) its gaps include those of the scheduler: it then
            // reports more stalls, never fewer.
            let tid = nix::unistd::gettid().to_string();
            let _ =
                std::process::Command::new("chrt").args(["--fifo", "--pid", "50", &tid]).output();
            let mut stalls = Vec::new();
            let mut last = Instant::now();
            while !flag.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(2));
                let now = Instant::now();
                if now - last > threshold {
                    stalls.push(Stall { from: last, length: now - last });
                }
                last = now;
            }
            stalls
        });
        Self { stop, thread }
    }

    /// Ends the watch and tells the stalls.
    pub fn finish(self) -> Vec<Stall> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or_default()
    }
}

/// How long some process of the machine has waited for a processor, in all since it was booted (PSI,
/// `/proc/pressure/cpu`). Zero where the kernel does not tell.
pub fn waited_for_processor() -> Duration {
    let text = std::fs::read_to_string("/proc/pressure/cpu").unwrap_or_default();
    Duration::from_micros(total_of(&text).unwrap_or_default())
}

/// A line: `some avg10=0.00 avg60=0.00 avg300=0.00 total=16696166934`, in microseconds.
fn total_of(text: &str) -> Option<u64> {
    let some = text.lines().find(|line| line.starts_with("some "))?;
    some.split_once("total=")?.1.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pressure_of_processors_is_read() {
        let text = "some avg10=0.00 avg60=0.00 avg300=0.00 total=16696166934\nfull total=0\n";
        assert_eq!(total_of(text), Some(16_696_166_934));
        assert_eq!(total_of("full total=3"), None);
        assert!(waited_for_processor() <= waited_for_processor());
    }
}
