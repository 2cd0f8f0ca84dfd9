//! start: the VIP is on this host, usable, and the neighbours know it.

use std::net::IpAddr;
use std::process::Child;
use std::time::{Duration, Instant};

use hostnet::{Link, LinkIndex, Netlink, NewAddress, PacketSocket};
use ocf::{Deadline, Exit, Request, Verdict};

use crate::announce::Subject;
use crate::announcer::{self, Job};
use crate::error::Error;
use crate::params::Params;
use crate::plan::{self, Plan, Step};
use crate::run_directory::RunDirectory;
use crate::{host, judge};

/// What waits keep free of the action's time for the steps behind them and for taking back.
const RESERVE: Duration = Duration::from_secs(1);
/// How long taking back may take beyond the deadline, which is at least that long before Pacemaker
/// kills ([`Deadline::of_action`]).
const GRACE: Duration = Duration::from_millis(100);
/// How long the last announcer may take to end, and the new one to report.
const ANNOUNCER_WAIT: Duration = Duration::from_secs(3);

/// Does the action.
pub(crate) fn start(request: &Request) -> Result<Verdict, Error> {
    let began = Instant::now();
    let params = Params::read(&request.values)?;
    let netlink = Netlink::open()?;
    let snapshot = host::snapshot(&netlink, &params, request.deadline.instant())?;
    let plan = plan::start(&params, &snapshot)?;
    let NewAddress { ip, prefix, link, .. } = plan.target.address;
    let announces = plan.steps.contains(&Step::Announce);
    let subject = params.announce.filter(|_| announces);
    let mut start = Start {
        subject: subject.map(|form| Subject { ip: params.ip, prefix, link, form }),
        params: &params,
        netlink: &netlink,
        run: RunDirectory::new(),
        deadline: request.deadline,
        link: plan.target.link.clone(),
        socket: None,
        up: None,
        announced: None,
        undo: Vec::new(),
    };
    if let Err(error) = start.carry_out(&plan) {
        return Err(start.take_back(error));
    }
    let after = start.announced.zip(start.up).map_or_else(String::new, |(announced, up)| {
        format!(" announced_us={}", announced.saturating_duration_since(up).as_micros())
    });
    log::info!(
        "vip={ip}/{prefix} nic={} state={}{after} took_ms={}",
        start.link.name,
        plan.found.done(),
        began.elapsed().as_millis()
    );
    Ok(Verdict::success())
}

/// A start under way.
struct Start<'a> {
    params: &'a Params,
    netlink: &'a Netlink,
    run: RunDirectory,
    deadline: Deadline,
    /// The link as last seen.
    link: Link,
    /// What the neighbours are told, if they are.
    subject: Option<Subject>,
    /// For the first announcement; `None` also where it can't be opened.
    socket: Option<PacketSocket>,
    /// When the address was known to be there.
    up: Option<Instant>,
    /// When the first announcement had been handed to the link.
    announced: Option<Instant>,
    /// What has been done, to be taken back last first.
    undo: Vec<Done>,
}

/// Something that start has done.
enum Done {
    BroughtUp(LinkIndex),
    Added(NewAddress),
    StartedAnnouncer(Child),
}

impl Start<'_> {
    fn carry_out(&mut self, plan: &Plan) -> Result<(), Error> {
        for step in &plan.steps {
            log::debug!("step: {step}");
            self.step(step)?;
        }
        self.hand_over(plan.target.address.ip);
        self.confirm()
    }

    fn step(&mut self, step: &Step) -> Result<(), Error> {
        let until = self.deadline.instant();
        match step {
            Step::BringUp(link) => {
                self.netlink.set_link_up(*link, until)?;
                self.undo.push(Done::BroughtUp(*link));
                // Virtual links have their carrier in a moment. Also where it is not required, the
                // first announcement should find it.
                let until = self.deadline.or_within(GRACE).instant();
                self.link = self.netlink.wait_for_link(*link, until, Link::usable)?;
            }
            Step::AwaitCarrier { required } => self.await_carrier(*required)?,
            Step::Add(new) => {
                // Before, so that the first frame follows the address at once.
                self.open_socket();
                match self.netlink.add_address(new, until) {
                    Ok(()) => self.undo.push(Done::Added(new.clone())),
                    // Somebody was quicker; confirm() says whether it is as it should be.
                    Err(hostnet::Error::AddressExists { .. }) => {}
                    Err(error) => return Err(error.into()),
                }
                self.up = Some(Instant::now());
            }
            Step::Announce => {
                if self.up.is_none() {
                    self.open_socket();
                }
                self.announce_first();
            }
            Step::Delete(deletion) => {
                log::warn!("{deletion}: the VIP does not belong there");
                host::delete(self.netlink, &self.run, deletion, until)?;
            }
        }
        Ok(())
    }

    fn await_carrier(&mut self, required: bool) -> Result<(), Error> {
        let began = Instant::now();
        let until = self.deadline.less(RESERVE).or_within(self.params.link_wait).instant();
        // Time for one look, also with link_wait=0.
        let until = until.max(began + GRACE.min(self.deadline.remaining()));
        self.link = self.netlink.wait_for_link(self.link.index, until, Link::usable)?;
        match judge::without_carrier(&self.link) {
            None => Ok(()),
            Some(state) if !required => {
                log::warn!("{state}: going on without");
                Ok(())
            }
            Some(_) => {
                Err(Error::NoCarrier { link: self.link.name.to_string(), waited: began.elapsed() })
            }
        }
    }

    /// Without the privilege the VIP still serves: whoever asks for it by ARP gets the kernel's
    /// answer.
    fn open_socket(&mut self) {
        if self.subject.is_some() {
            match Subject::socket(&self.link) {
                Ok(socket) => self.socket = Some(socket),
                Err(error) => {
                    log::error!("vip={} is not announced: {error}", self.params.ip);
                }
            }
        }
    }

    fn announce_first(&mut self) {
        // Without carrier nobody hears it; the announcer waits for one and then begins.
        let (Some(subject), Some(socket), Some(mac), true) =
            (&self.subject, &mut self.socket, self.link.mac, self.link.usable())
        else {
            return;
        };
        match subject.send(socket, mac) {
            Ok(()) => self.announced = Some(Instant::now()),
            Err(error) => log::error!("vip={} first announcement: {error}", self.params.ip),
        }
    }

    /// Leaves the rest of the schedule to an announcer; where there can't be one, sends what the
    /// action's time allows.
    fn hand_over(&mut self, ip: IpAddr) {
        let lock = self.run.announcer_lock(ip);
        let until = self.deadline.less(RESERVE).or_within(ANNOUNCER_WAIT).instant();
        // Of an earlier start: it would announce by that start's parameters.
        match announcer::silence(&lock, until) {
            Ok(silence) => silence.end(),
            Err(error) => log::warn!("vip={ip} last announcer: {error}"),
        }
        let (Some(subject), Some(_)) = (&self.subject, self.socket.take()) else { return };
        let schedule = &self.params.schedule;
        let next = usize::from(self.announced.is_some());
        if schedule.times().len() <= next {
            return;
        }
        let job = Job { subject: subject.clone(), schedule: schedule.clone(), next, lock };
        let spawned = self
            .run
            .create()
            .map_err(announcer::Error::Directory)
            .and_then(|()| announcer::spawn(&job, until));
        match spawned {
            Ok(child) => self.undo.push(Done::StartedAnnouncer(child)),
            Err(error) => {
                log::error!("vip={ip} no announcer, start announces itself: {error}");
                let until = self.deadline.less(RESERVE).instant();
                subject.burst(self.netlink, schedule, next, until);
            }
        }
    }

    /// Looks at the host as monitor will.
    fn confirm(&self) -> Result<(), Error> {
        let (instances, link) = host::sight(self.netlink, self.params, self.deadline.instant())?;
        let verdict = judge::judge(self.params, &instances, link.as_ref());
        match (verdict.exit, verdict.reason) {
            (Exit::Success, _) => Ok(()),
            (Exit::Degraded, reason) => {
                log::warn!("{}", reason.unwrap_or_default());
                Ok(())
            }
            (_, Some(reason)) => Err(Error::NotConfirmed { reason }),
            (_, None) => Err(Error::Vanished { ip: self.params.ip.into() }),
        }
    }

    fn take_back(mut self, error: Error) -> Error {
        let until = self.deadline.instant().max(Instant::now() + GRACE);
        let mut left = Vec::new();
        while let Some(done) = self.undo.pop() {
            match done {
                Done::StartedAnnouncer(mut child) => announcer::end_child(&mut child),
                Done::Added(new) => {
                    if let Err(source) = self.delete_added(&new, until) {
                        left.push(format!("{}/{} ({source})", new.ip, new.prefix));
                    }
                }
                // It went with its link, or somebody took it down: both fine.
                Done::BroughtUp(link) => match self.netlink.set_link_down(link, until) {
                    Ok(()) | Err(hostnet::Error::NoSuchLink { .. }) => {}
                    Err(source) => left.push(format!("{} up ({source})", self.link.name)),
                },
            }
        }
        if left.is_empty() {
            error
        } else {
            Error::LeftBehind { source: Box::new(error), left: left.join(", ") }
        }
    }

    /// By a fresh dump: others may have come into its subnet since, and must stay.
    fn delete_added(&self, new: &NewAddress, until: Instant) -> Result<(), hostnet::Error> {
        let addresses = host::addresses(self.netlink, until)?;
        let added = |address: &hostnet::Address| {
            (address.link, address.prefix, address.peer) == (new.link, new.prefix, None)
        };
        plan::stop(new.ip, &addresses)
            .iter()
            .filter(|deletion| added(&deletion.address))
            .try_for_each(|deletion| {
                host::delete(self.netlink, &self.run, deletion, until).map(|_| ())
            })
    }
}
