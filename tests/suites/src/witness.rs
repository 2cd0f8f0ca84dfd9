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
