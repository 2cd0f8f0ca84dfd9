//! start: the VIP is on this host, usable, and announced to its neighbours.

mod addition;
mod announcements;
mod duplicate_check;
mod link_state;
pub(crate) mod readiness;
mod roll_back;

use std::time::{Duration, Instant};

use deadline::Deadline;
use hostnet::{Error as NetError, Link, MacAddress, Netlink, PacketSocket};
use hostproc::{Acquisition, ActionLock};
use ocf::{Exit, Request, Verdict};

use self::readiness::Decision;
use self::roll_back::Done;
use super::budgets;
use super::carrier;
use crate::decide::controls::Control;
use crate::decide::judge;
use crate::decide::plan::{self, Found, Plan, Step};
use crate::decide::target::Snapshot;
use crate::error::Error;
use crate::host::run_files::RunFiles;
use crate::host::{deletion, ipv6, local_route, own_address, source_routing, take_over};
use crate::log_line::{failure, line, set_link};
use crate::params::Params;
use crate::wire::announcement::Announcement;
use crate::wire::own_links::OwnLinks;

/// A lock that comes later than this was another action's, and the carrier can have come meanwhile.
const AT_ONCE: Duration = Duration::from_millis(100);

pub(crate) fn start(request: &Request) -> Result<Verdict, Error> {
    let began = Instant::now();
    let params = Params::read(&request.values)?;
    params.remarks.iter().for_each(|remark| log::warn!("{}", line().note(remark)));
    let deadline = request.deadline;
    let ready = budgets::for_readiness(deadline);
    let mut has_waited = readiness::enter_namespace(&params, ready)?;
    let netlink = Netlink::open()?;
    let (zone, waited) = readiness::zone(&netlink, &params, ready)?;
    let files = RunFiles::of(params.ip, zone.link());
    let asked = Instant::now();
    let lock = lock(&files, &params, budgets::for_start_lock(deadline))?;
    has_waited |= waited || asked.elapsed() > AT_ONCE;
    let lock = lock.as_ref();
    let ready = budgets::for_readiness(deadline);
    has_waited |= carrier::end_watcher(&files, deadline);
    let mut is_first = true;
    loop {
        let mut decision = readiness::decide(&netlink, &params, lock, ready, deadline)?;
        decision.has_waited |= has_waited;
        let Decision { snapshot, plan, .. } = &decision;
        // What this start has added is no address of the host's own, also if another stop adds it again
        // after the roll back.
        if std::mem::take(&mut is_first) {
            refuse_own_address(&netlink, &params, snapshot, &files, request)?;
            if zone.link().is_none()
                && delete_unserved(&netlink, &params, snapshot, &files, deadline)
            {
                has_waited = decision.has_waited;
                continue;
            }
        }
        let mut start = Start::new(&params, &netlink, request, &decision, files.clone(), lock);
        let error = match start.carry_out(plan) {
            Ok(()) => {
                start.publish_carrier();
                start.conclude(plan, began);
                return Ok(Verdict::success());
            }
            Err(error) => {
                has_waited = start.has_waited;
                start.roll_back(error)
            }
        };
        // The host has changed since the decision: its network service restarts, for example.
        if !(error.can_pass() && ready.sleep(budgets::NEXT_DECISION)) {
            return Err(error);
        }
        log::warn!("{}", failure(&error).note("trying again"));
    }
}

/// Returns true if it has deleted a VIP that a stop which was killed has left without its local route.
fn delete_unserved(
    netlink: &Netlink,
    params: &Params,
    snapshot: &Snapshot,
    files: &RunFiles,
    deadline: Deadline,
) -> bool {
    let instances = judge::instances(params, &snapshot.addresses);
    let (links, patience) = (&snapshot.links, budgets::for_local_route(deadline));
    let deadlines = budgets::for_deletion(deadline);
    local_route::delete_unserved(netlink, files, &instances, links, patience, deadlines)
}

/// # Errors
/// [`Error::OwnAddress`]
fn refuse_own_address(
    netlink: &Netlink,
    params: &Params,
    snapshot: &Snapshot,
    files: &RunFiles,
    request: &Request,
) -> Result<(), Error> {
    let instances = judge::instances(params, &snapshot.addresses);
    let in_namespace = params.namespace.is_some();
    let (ip, until) = (params.ip, request.deadline);
    let unread = log::Level::Warn;
    match own_address::find(netlink, files, ip, &instances, in_namespace, unread, until)? {
        Some(own) => Err(own.into()),
        None => Ok(()),
    }
}

/// Waits until no other start or stop of the VIP is at work. Without a run directory there is no lock,
/// and start goes on without it.
fn lock(files: &RunFiles, params: &Params, until: Deadline) -> Result<Option<ActionLock>, Error> {
    let ip = params.ip;
    match ActionLock::acquire(&files.action_lock(), until) {
        Acquisition::Acquired(lock) => Ok(Some(lock)),
        Acquisition::Stopped => Err(Error::Stopped { ip }),
        Acquisition::Busy { holder } => Err(Error::Busy { ip, holder }),
        Acquisition::Unavailable(error) => {
            log::warn!("{}", failure(&error).note("going on without the lock of start and stop"));
            Ok(None)
        }
    }
}

/// A start in progress.
struct Start<'a> {
    params: &'a Params,
    netlink: &'a Netlink,
    request: &'a Request,
    deadline: Deadline,
    files: RunFiles,
    lock: Option<&'a ActionLock>,
    snapshot: &'a Snapshot,
    /// The link as last seen.
    link: Link,
    /// The node's network, or the carrier of the link, has come while this action was at work, or a moment before.
    has_waited: bool,
    /// The links of this host, which are no rivals.
    own: OwnLinks,
    /// `None`: nothing is announced.
    announcement: Option<Announcement>,
    /// For probes and the first announcement; `None` also if it can't be opened.
    socket: Option<PacketSocket>,
    /// The duplicate address check has found no other host.
    no_duplicate: bool,
    /// How long it took.
    probed: Option<Duration>,
    /// The time since boot at its end.
    probed_at: Duration,
    /// The neighbours that were asked and have not answered, if none has.
    silent_controls: Vec<Control>,
    /// The link refuses to send, so that nobody could be asked, or the kernel still looks for a duplicate: the
    /// announcer asks before it announces.
    is_unasked: bool,
    /// The host that answers for the VIP although the previous owner is fenced.
    taken_over_from: Option<MacAddress>,
    /// When the address was added.
    added_at: Option<Instant>,
    /// When the first announcement was sent.
    announced_at: Option<Instant>,
    /// What has been done, in this order, for the roll back.
    done: Vec<Done>,
}

impl<'a> Start<'a> {
    fn new(
        params: &'a Params,
        netlink: &'a Netlink,
        request: &'a Request,
        decision: &'a Decision,
        files: RunFiles,
        lock: Option<&'a ActionLock>,
    ) -> Self {
        let Decision { snapshot, plan, has_waited } = decision;
        let link = &plan.target.link;
        set_link(&link.name);
        if plan::has_non_ethernet_neighbours(link) {
            let note = "not an Ethernet link: no duplicate address check, no announcements";
            log::warn!("{}", line().note(note));
        }
        Self {
            params,
            netlink,
            request,
            deadline: request.deadline,
            files,
            lock,
            snapshot,
            link: link.clone(),
            has_waited: *has_waited,
            own: OwnLinks::of(params.ip, link, &snapshot.links, &snapshot.addresses),
            announcement: announcements::announcement(params, netlink, plan, request.deadline),
            socket: None,
            no_duplicate: false,
            probed: None,
            probed_at: Duration::ZERO,
            silent_controls: Vec::new(),
            is_unasked: false,
            taken_over_from: None,
            added_at: None,
            announced_at: None,
            done: Vec::new(),
        }
    }

    fn carry_out(&mut self, plan: &Plan) -> Result<(), Error> {
        if plan.found == Found::Exact {
            self.note_here();
        }
        if self.has_waited {
            self.note_carrier();
        }
        for step in &plan.steps {
            log::debug!("{}", line().field("step", plan.describe(step)));
            self.step(step, plan).map_err(|error| self.explain(error))?;
        }
        self.check_not_stopped()?;
        self.hand_over_announcements();
        self.confirm()
    }

    fn step(&mut self, step: &Step, plan: &Plan) -> Result<(), Error> {
        match step {
            Step::BringUp => self.bring_up(),
            Step::AwaitCarrier { required } => self.await_carrier(*required),
            Step::CheckDuplicates => self.check_duplicates(),
            Step::Add => self.add(plan),
            Step::SetLifetimes(old) => {
                let new = &plan.target.address;
                let lifetimes = (new.preferred_lft, new.valid_lft);
                self.netlink.set_lifetimes(old, lifetimes, self.deadline)?;
                Ok(())
            }
            Step::AddAgain(old) => self.add_again(old, &plan.target.address),
            Step::AwaitDuplicateDetection => self.await_kernel_detection(),
            Step::AddSourceRouting => self.add_source_routing(plan),
            Step::Announce => {
                self.open_socket()?;
                self.check_not_stopped()?;
                self.announce_first();
                Ok(())
            }
            Step::Delete(deletion) => {
                let note = "the VIP does not belong there";
                log::warn!("{}", line().field("step", plan.describe(step)).note(note));
                let deadlines = budgets::for_deletion(self.deadline);
                deletion::delete(self.netlink, &self.files, deletion, deadlines)?;
                Ok(())
            }
        }
    }

    /// The cause of a refusal that the kernel calls a missing permission: IPv6 was disabled meanwhile.
    fn explain(&self, error: Error) -> Error {
        match &error {
            Error::Network(NetError::PermissionDenied { .. }) if self.params.ip.is_ipv6() => {
                ipv6::require(&self.link).err().map_or(error, Error::from)
            }
            _ => error,
        }
    }

    /// Checked before each effect, and while start waits.
    fn stop_requested(&self) -> bool {
        self.lock.is_some_and(ActionLock::stop_requested)
    }

    /// # Errors
    /// [`Error::Stopped`]
    fn check_not_stopped(&self) -> Result<(), Error> {
        if self.stop_requested() { Err(Error::Stopped { ip: self.params.ip }) } else { Ok(()) }
    }

    /// Notes that the VIP is this agent's, before it is.
    fn note_here(&self) {
        self.files.note_here(self.params.nic.as_ref());
        if let Some(name) = &self.params.namespace {
            self.files.note_namespace(name, &self.link);
        }
    }

    fn add_source_routing(&mut self, plan: &Plan) -> Result<(), Error> {
        let mut added = Vec::new();
        let place = (self.link.index, plan.target.address.prefix);
        let applied =
            source_routing::apply(self.netlink, self.params, place, &mut added, self.deadline);
        self.done.extend(added.into_iter().map(Done::SourceRouting));
        Ok(applied?)
    }

    /// Observes and judges the host as monitor does.
    fn confirm(&mut self) -> Result<(), Error> {
        let observation = self.observe()?;
        let fault = source_routing::fault(self.netlink, self.params, &observation, self.deadline)?;
        if let Some(reason) = fault {
            return Err(Error::NotConfirmed { reason });
        }
        if self.has_waited && observation.is_tentative(self.params) {
            // As in await_kernel_detection.
            return Ok(());
        }
        let verdict = observation.judge(self.params);
        match (verdict.exit, verdict.reason) {
            (Exit::Success, _) => {
                if observation.zone.is_none() {
                    self.await_local_route();
                }
                Ok(())
            }
            (Exit::Degraded, reason) => {
                log::warn!("{}", line().note(reason.unwrap_or_default()));
                Ok(())
            }
            (_, Some(reason)) => Err(Error::NotConfirmed { reason }),
            (_, None) => Err(self.vanished()),
        }
    }

    /// Waits until the kernel accepts packets for the VIP. If that does not come to pass, monitor fails.
    fn await_local_route(&self) {
        let (ip, patience) = (self.params.ip, budgets::for_local_route(self.deadline));
        if local_route::stays_missing(self.netlink, ip, patience, self.deadline) {
            log::warn!("{}", line().note(local_route::reason(ip)));
        }
    }

    /// Why the address is not there any more.
    fn vanished(&self) -> Error {
        let (ip, link) = (self.params.ip, self.link.name.clone());
        if self.stop_requested() { Error::Stopped { ip } } else { Error::Vanished { ip, link } }
    }

    /// The notes and the log line of a start that has succeeded.
    fn conclude(&self, plan: &Plan, began: Instant) {
        if self.no_duplicate && !self.is_unasked {
            self.files.forget_unannounced();
            self.files.note_search();
        }
        // What was asked for and answered by nobody, or was here before, is an address of this cluster.
        if self.request.by_cluster && (self.no_duplicate || plan.found == Found::Exact) {
            take_over::note_held(self.params, &self.files);
        }
        let mut line =
            line().field("prefix", plan.target.address.prefix).field("state", plan.found.state());
        if let Some(probed) = self.probed {
            line = line.field("probed_us", probed.as_micros());
        }
        if let Some((announced, added)) = self.announced_at.zip(self.added_at) {
            let after = announced.saturating_duration_since(added);
            line = line.field("announced_us", after.as_micros());
        }
        log::info!("{}", line.field("took_ms", began.elapsed().as_millis()));
    }
}
