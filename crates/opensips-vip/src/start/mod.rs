//! start: the VIP is on this host, usable, and the neighbours know it.

mod announcing;
mod duplicates;
mod taking_back;

use std::process::Child;
use std::time::{Duration, Instant};

use deadline::Deadline;
use hostnet::{Link, LinkIndex, MacAddress, Netlink, NewAddress, PacketSocket, Prefix};
use ocf::{Exit, Request, Verdict};

use crate::announce::Subject;
use crate::error::Error;
use crate::params::{Nodad, Params};
use crate::plan::{self, Found, Plan, Step};
use crate::run_directory::RunDirectory;
use crate::source_routing::{self, Made};
use crate::turn::Starting;
use crate::{deleting, host, judge};

/// What waits keep free of the action's time for the steps behind them and for taking back.
const RESERVE: Duration = Duration::from_secs(1);
/// How long taking back may take beyond the deadline, which is at least that long before Pacemaker
/// kills ([`ocf::action_deadline`]).
const GRACE: Duration = Duration::from_millis(100);
/// How long the last announcer may take to end, and the new one to report.
const ANNOUNCER_WAIT: Duration = Duration::from_secs(3);

/// Does the action.
pub(crate) fn start(request: &Request) -> Result<Verdict, Error> {
    let began = Instant::now();
    let params = Params::read(&request.values)?;
    params.remarks.iter().for_each(|remark| log::warn!("{remark}"));
    host::enter(params.namespace.as_ref())?;
    let netlink = Netlink::open()?;
    let run = host::run_directory(&netlink, &params, request.deadline)?;
    let starting = Starting::begin(&run, params.ip, request.deadline.less(RESERVE))?;
    let snapshot = host::snapshot(&netlink, &params, request.deadline)?;
    let plan = plan::start(&params, &snapshot)?;
    if params.route_table.is_some() {
        // Before the address is there: no other try will find the table free.
        source_routing::tables_of(&netlink, &params, request.deadline)?;
    }
    let NewAddress { ip, prefix, link, .. } = plan.target.address;
    if plan::is_of_another_kind(&plan.target.link) {
        log::warn!(
            "vip={ip} nic={} note=\"no Ethernet: nobody is asked for duplicates, nothing announced\"",
            plan.target.link.name
        );
    }
    let announces = plan.steps.contains(&Step::Announce);
    let form = params.announce.filter(|_| announces);
    let targets = form.map(|_| announcing::targets(&params, &netlink, link, request.deadline));
    let subject = form.map(|form| {
        let targets = targets.unwrap_or_default();
        Subject { ip, prefix, link, form, targets }
    });
    let mut start = Start {
        subject,
        own: snapshot.links.iter().filter_map(|link| link.mac).collect(),
        params: &params,
        netlink: &netlink,
        run,
        starting,
        deadline: request.deadline,
        link: plan.target.link.clone(),
        socket: None,
        found_free: false,
        up: None,
        announced: None,
        undo: Vec::new(),
    };
    if plan.found == Found::Exact {
        start.note_namespace();
    }
    if let Err(error) = start.carry_out(&plan) {
        return Err(start.take_back(error));
    }
    start.run.forget_rival(params.ip);
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
    /// Its turn: no other start or stop of the VIP works meanwhile.
    starting: Starting,
    deadline: Deadline,
    /// The link as last seen.
    link: Link,
    /// What the neighbours are told, if they are.
    subject: Option<Subject>,
    /// The hardware addresses of all links of this host.
    own: Vec<MacAddress>,
    /// For questions and the first announcement; `None` also where it can't be opened.
    socket: Option<PacketSocket>,
    /// Nobody else has the VIP: it was asked for.
    found_free: bool,
    /// When the address was known to be there.
    up: Option<Instant>,
    /// When the first announcement had been handed to the link.
    announced: Option<Instant>,
    /// What has been done, to be taken back last first.
    undo: Vec<Done>,
}

/// Something that start has done.
enum Done {
    /// After a start that was killed the link stays up: others may use it since, and a link that is
    /// up without its address harms nobody.
    BroughtUp(LinkIndex),
    Added(NewAddress),
    StartedAnnouncer(Child),
    Routing(Made),
}

impl Start<'_> {
    fn carry_out(&mut self, plan: &Plan) -> Result<(), Error> {
        for step in &plan.steps {
            log::debug!("step: {step}");
            self.step(step, plan.target.address.prefix)?;
        }
        if self.starting.was_stopped() {
            return Err(Error::Stopped { ip: self.params.ip });
        }
        self.hand_over();
        self.confirm()
    }

    fn step(&mut self, step: &Step, prefix: Prefix) -> Result<(), Error> {
        let until = self.deadline;
        match step {
            Step::BringUp(link) => {
                let changed = self.netlink.set_link_up(*link, until);
                self.note(&changed, Done::BroughtUp(*link));
                changed?;
                // Virtual links have their carrier in a moment. Also where it is not required, the
                // first announcement should find it.
                let until = self.deadline.within(GRACE);
                self.link = self.netlink.wait_for_link(*link, until, Link::usable)?;
            }
            Step::AwaitCarrier { required } => self.await_carrier(*required)?,
            Step::CheckDuplicates => self.check_duplicates()?,
            Step::Add(new) => self.add(new)?,
            Step::AwaitDuplicateDetection => self.await_duplicate_detection()?,
            Step::RouteFromVip => self.route_from_vip(prefix)?,
            Step::Announce => {
                self.open_socket()?;
                self.starting.keep_stops_out(until)?;
                self.announce_first();
                self.starting.let_stops_in();
            }
            Step::Delete(deletion) => {
                log::warn!("{deletion}: the VIP does not belong there");
                deleting::delete(self.netlink, &self.run, deletion, until)?;
            }
        }
        Ok(())
    }

    fn add(&mut self, new: &NewAddress) -> Result<(), Error> {
        let mut new = new.clone();
        if self.params.ip.is_ipv6() {
            host::require_ipv6(&self.link)?;
            // Without carrier, or without the privilege, nobody was asked: the kernel has to.
            new.nodad &= self.found_free || self.params.nodad == Nodad::Yes;
        }
        if self.subject.is_some() {
            // Before, so that the first frame follows the address at once.
            self.open_socket()?;
        }
        let until = self.deadline;
        self.starting.keep_stops_out(until)?;
        self.note_namespace();
        let added = self.netlink.add_address(&new, until);
        self.note(&added, Done::Added(new));
        match added {
            // Somebody was quicker; confirm() says whether it is as it should be.
            Ok(()) | Err(hostnet::Error::AddressExists { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        self.up = Some(Instant::now());
        Ok(())
    }

    fn note_namespace(&self) {
        if let Some(name) = &self.params.namespace {
            self.run.note_namespace(self.params.ip, name);
        }
    }

    /// Notes a change to be taken back, if it was made, and also if that can't be known: the kernel may
    /// have made it and said so too late. What is not there is taken back as easily.
    fn note(&mut self, result: &hostnet::Result<()>, done: Done) {
        if result.as_ref().map_or_else(hostnet::Error::may_have_happened, |()| true) {
            self.undo.push(done);
        }
    }

    fn route_from_vip(&mut self, prefix: Prefix) -> Result<(), Error> {
        let mut made = Vec::new();
        let place = (self.link.index, prefix);
        let until = self.deadline;
        let applied = source_routing::apply(self.netlink, self.params, place, &mut made, until);
        self.undo.extend(made.into_iter().map(Done::Routing));
        applied
    }

    fn await_carrier(&mut self, required: bool) -> Result<(), Error> {
        let began = Instant::now();
        let until = self.deadline.less(RESERVE).within(self.params.link_wait);
        // Time for one look, also with link_wait=0.
        let until = until.but_at_least(GRACE.min(self.deadline.remaining()));
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

    /// Looks at the host as monitor will.
    fn confirm(&self) -> Result<(), Error> {
        let sight = host::sight(self.netlink, self.params, self.deadline)?;
        let until = self.deadline;
        if let Some(reason) = source_routing::missing(self.netlink, self.params, &sight, until)? {
            return Err(Error::NotConfirmed { reason });
        }
        let verdict = sight.judge(self.params);
        match (verdict.exit, verdict.reason) {
            (Exit::Success, _) => Ok(()),
            (Exit::Degraded, reason) => {
                log::warn!("{}", reason.unwrap_or_default());
                Ok(())
            }
            (_, Some(reason)) => Err(Error::NotConfirmed { reason }),
            (_, None) => Err(self.gone()),
        }
    }

    /// Why the address is not there any more.
    fn gone(&self) -> Error {
        let ip = self.params.ip;
        if self.starting.was_stopped() { Error::Stopped { ip } } else { Error::Vanished { ip } }
    }
}
