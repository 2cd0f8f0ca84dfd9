//! The cases of resource-agents' `ocft` for IPaddr2 (its files IPaddr2v4 and IPaddr2v6), told anew as
//! a table: one host for each case, addresses of the documentation networks.
//!
//! Where our agent has to do something else than ocft expects of IPaddr2, the case says what and
//! why.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::contender::Contender;
pub use super::ocft_cases::CASES;
use super::record::Record;
use super::site::{LONG, Site};
use testnet::wait_until;

/// A case.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// Its file: IPaddr2v4 or IPaddr2v6.
    pub file: &'static str,
    /// Its number in there.
    pub number: u8,
    /// What is tried.
    pub title: &'static str,
    pub(super) base: Option<&'static str>,
    pub(super) ip: &'static str,
    pub(super) nic: Option<&'static str>,
    pub(super) mask: Option<&'static str>,
    pub(super) broadcast: Option<&'static str>,
    /// The prefix length where none is given: that of the base address.
    pub(super) prefix: &'static str,
    pub(super) steps: &'static [Step],
    /// What our agent does instead, and why.
    pub deviation: Option<Deviation>,
}

/// Something done or expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// This action ends with this code.
    Ends(&'static str, i32),
    /// The address is on the interface, with the prefix.
    Assigned,
    /// The address is nowhere on the host.
    Removed,
}

/// Other steps than ocft's.
#[derive(Debug, Clone, Copy)]
pub struct Deviation {
    /// All steps of the case.
    pub steps: &'static [Step],
    /// Why they are right.
    pub why: &'static str,
}

impl Case {
    /// Tries the case with an agent, by ocft's expectations or by ours.
    #[must_use]
    pub fn put_through(&self, contender: &Contender, ours: bool) -> Record {
        let mut record = Record::default();
        let steps = self.deviation.filter(|_| ours).map_or(self.steps, |deviation| deviation.steps);
        let tried = catch_unwind(AssertUnwindSafe(|| self.run(contender, steps, &mut record)));
        record.check("the case runs to its end", tried.is_ok());
        record
    }

    fn run(&self, contender: &Contender, steps: &[Step], record: &mut Record) {
        let site = Site::bare();
        site.second_interface();
        wait_until("eth1 is up", LONG, || site.node.ip("link show dev eth1").contains("state UP"));
        if let Some(base) = self.base {
            let options = if base.contains(':') { "nodad" } else { "brd +" };
            site.node.ip(&format!("addr add {base} dev eth0 {options}"));
        }
        let optional =
            [("nic", self.nic), ("cidr_netmask", self.mask), ("broadcast", self.broadcast)];
        let given = optional.iter().filter_map(|(name, value)| Some((*name, (*value)?)));
        let parameters: Vec<_> = [("ip", self.ip)].into_iter().chain(given).collect();
        let vip = contender.address(&parameters);
        let interface = self.nic.unwrap_or("eth0");
        let prefix = self.mask.unwrap_or(self.prefix);
        let whole = format!("{interface} {}/{prefix}", self.ip);
        for step in steps {
            match step {
                Step::Ends(action, code) => {
                    let ended = vip.run(&site.node, record, action).code;
                    record.check(&format!("{action} is {code}"), ended == *code);
                }
                Step::Assigned => {
                    let instances = site.instances(self.ip);
                    let there = instances.iter().any(|instance| instance.starts_with(&whole));
                    record.check(&format!("{whole} is there"), there);
                }
                Step::Removed => {
                    let instances = site.instances(self.ip);
                    record.check("the address is nowhere", instances.is_empty());
                }
            }
        }
    }

    /// `start 0, stop 0`: what ocft expects.
    #[must_use]
    pub fn expected(&self) -> String {
        let words = self.steps.iter().filter_map(|step| match step {
            Step::Ends(action, code) => Some(format!("{action} {code}")),
            Step::Assigned | Step::Removed => None,
        });
        words.collect::<Vec<_>>().join(", ")
    }
}

/// Prints the cases with the agents' results; tells whether ours do what the table says of them.
#[must_use]
pub fn compare(contenders: &[(String, Contender, bool)]) -> bool {
    let mut clean = true;
    print!("| ocft case | ocft expects |");
    contenders.iter().for_each(|(name, ..)| print!(" {name} |"));
    println!("\n|---|---|{}", "---|".repeat(contenders.len()));
    for case in &CASES {
        print!("| {} {}: {} | {} |", case.file, case.number, case.title, case.expected());
        for (_, contender, ours) in contenders {
            let record = case.put_through(contender, *ours);
            let result = super::output::actions(&record);
            let words = match (record.is_right(), case.deviation.filter(|_| *ours)) {
                (true, None) => "as expected".to_owned(),
                (true, Some(deviation)) => format!("{result}: {}", deviation.why),
                (false, _) => format!("**{result}**: not so: {}", record.wrong().join("; ")),
            };
            print!(" {words} |");
            clean &= !ours || record.is_right();
        }
        println!();
    }
    clean
}
