//! What this node tells the cluster about its carrier, and what it does where there is none.

use std::time::Duration;

use deadline::Deadline;
use hostnet::{Link, Netlink};
use ocf::{Action, Membership, Request};

use super::budgets;
use crate::decide::carrier::Elsewhere;
use crate::decide::judge::{self, Observation};
use crate::decide::plan::has_neighbours;
use crate::host::boot_time::since_boot;
use crate::host::cluster::{self, Cluster};
use crate::host::run_files::{RunFiles, Told};
use crate::host::tables;
use crate::log_line::{failure, line};
use crate::params::{LinkCheck, Params};
use crate::wire::announcement::Announcement;
use crate::wire::announcer::{self, CarrierFailure, Job, LinkState, Watch, is_held};

/// How long monitor waits before it believes that only this node has lost its carrier. When a switch
/// restarts, the other nodes publish in that time that they have lost theirs, and a link that flaps has
/// its carrier again.
const SETTLE: Duration = Duration::from_millis(1200);
/// Interval of the looks meanwhile.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// How seldom the process that was told is compared with the present one: that takes as long as the rest of a
/// monitor without a process.
const COMPARE_AGAIN: Duration = Duration::from_secs(10);

/// The carrier of the VIP's link, as this resource tells it.
pub(crate) struct Carrier<'a> {
    cluster: Cluster,
    params: &'a Params,
    files: &'a RunFiles,
    request: &'a Request,
}

impl<'a> Carrier<'a> {
    /// `None` without a cluster, and if the carrier is not checked.
    pub(crate) fn of(
        request: &'a Request,
        params: &'a Params,
        files: &'a RunFiles,
    ) -> Option<Self> {
        let cluster = Cluster::of(request)?;
        let checked = params.link_check != LinkCheck::Ignore;
        checked.then_some(Self { cluster, params, files, request })
    }

    /// Publishes what has changed. A probe always publishes: the attribute does not survive a restart of
    /// the cluster manager, and the note of it does.
    ///
    /// Pacemaker probes, too, when its controller was restarted alone, because the executor or the scheduler
    /// has died. The attributes of the node are deleted from the CIB then, and the attribute daemon, which
    /// still has them, takes a value that is not new for no news. Only a refresh has it write them again. That ends
    /// the `dampen` of all attributes early, so it is asked for only where the CIB lacks the value.
    pub(crate) fn publish(&self, usable: bool) -> bool {
        let attribute = self.cluster.attribute();
        let known = self.files.published_carrier(attribute) == Some(usable);
        let forgotten_by = self.forgotten_by();
        if known && !self.request.probe && forgotten_by.is_none() {
            return true;
        }
        let until = budgets::for_cluster(self.request.deadline);
        let told = cluster::publish(attribute, self.files, usable, until);
        if told && (known || forgotten_by.is_some()) {
            let is_there = match self.cluster.is_in_cib(usable, until) {
                Some(false) => cluster::refresh_attributes(until),
                found => found.is_some(),
            };
            if let Some(now) = forgotten_by.filter(|_| is_there) {
                self.files.note_told(attribute, Some(now));
            }
        }
        told
    }

    /// Whom to tell again, if what was told may be lost by now, and a node whose carrier is not known is no choice. Where
    /// the process of the cluster manager was killed, the other nodes have deleted what it knew of this one. Where
    /// nodes lose sight of each other and meet again without fencing, the controller of each deletes what the CIB has
    /// of the other one, perhaps after it was written again.
    fn forgotten_by(&self) -> Option<Told> {
        if self.request.action != Action::Monitor {
            return None;
        }
        let attribute = self.cluster.attribute();
        let noted = self.files.told(attribute, COMPARE_AGAIN)?;
        let membership = Membership::now();
        // Nothing is noted, so that the next monitor looks again.
        if membership == Membership::Changing {
            return None;
        }
        // A call by hand knows of no daemon, and must not forget the one that was told.
        let now = Told::now()?;
        let is_forgotten = noted.is_some_and(|noted| {
            noted.daemon != now.daemon || membership.has_changed(noted.membership)
        });
        // Uncertain until it has been told; and where no note can be written, each monitor would tell it.
        let note = if is_forgotten { now.uncertain() } else { now };
        (self.files.note_told(attribute, Some(note)) && is_forgotten).then_some(now)
    }

    /// monitor of a node without the VIP.
    pub(crate) fn on_standby(&self, netlink: &Netlink, until: Deadline) {
        let link = match tables::link_without_vip(netlink, self.params, until) {
            Ok(link) => link,
            Err(error) => {
                log::debug!("{}", failure(&error).note("the link of the VIP is not known"));
                return;
            }
        };
        match link {
            Some(link) if judge::without_carrier(&link).is_some() => {
                self.publish(false);
                self.watch(&link, None);
            }
            // The watcher publishes a carrier that has come when it is steady.
            Some(_) if self.is_watched() && !self.request.probe => {}
            Some(_) => {
                self.publish(true);
            }
            None => {
                self.publish(false);
            }
        }
    }

    /// monitor of the node with the VIP. Without carrier, finds out whether another node has one, and
    /// publishes that this one has none.
    pub(crate) fn on_active(&self, netlink: &Netlink, observation: &mut Observation) {
        let Some(link) = observation.link.clone() else { return };
        if judge::without_carrier(&link).is_none() {
            // If start could publish nothing, the cluster manager takes no attribute, and a monitor does not
            // execute a program in vain each time. The next probe tries again.
            if self.files.has_carrier_note(self.cluster.attribute()) || self.request.probe {
                self.publish(true);
            }
            return;
        }
        let first_look = self.files.published_carrier(self.cluster.attribute()) != Some(false);
        let elsewhere =
            if first_look && !self.request.probe && self.params.link_check == LinkCheck::Fail {
                self.settle(netlink, observation)
            } else {
                self.elsewhere()
            };
        if observation.link.as_ref().is_none_or(|link| judge::without_carrier(link).is_none()) {
            return;
        }
        let told = self.publish(false);
        observation.elsewhere = match elsewhere {
            Elsewhere::On { nodes, .. } if told => {
                let until = budgets::for_cluster(self.request.deadline);
                Elsewhere::On { nodes, moving: first_look && self.cluster.has_location_rule(until) }
            }
            elsewhere => elsewhere,
        };
        let fails = matches!(observation.elsewhere, Elsewhere::On { moving: false, .. });
        if fails && self.params.link_check == LinkCheck::Fail && !self.request.probe {
            self.fail(&link, false);
        } else {
            announce_observed(self.request, netlink, self.params, self.files, observation);
        }
    }

    /// The nodes with a carrier, after the time in which they notice that they have lost it, too.
    fn settle(&self, netlink: &Netlink, observation: &mut Observation) -> Elsewhere {
        let until = budgets::for_cluster(self.request.deadline).within(SETTLE);
        loop {
            let elsewhere = self.elsewhere();
            let link = observation.link.as_ref().map(|link| link.index);
            let now =
                link.and_then(|link| netlink.link_by_index(link, self.request.deadline).ok()?);
            let is_back = now.as_ref().is_some_and(|link| judge::without_carrier(link).is_none());
            if is_back {
                observation.link = now;
            }
            if is_back || !matches!(elsewhere, Elsewhere::On { .. }) || until.has_passed() {
                return elsewhere;
            }
            until.sleep(LOOK_AGAIN);
        }
    }

    pub(crate) fn elsewhere(&self) -> Elsewhere {
        self.cluster.elsewhere(budgets::for_cluster(self.request.deadline))
    }

    /// Leaves a process that waits for the carrier of a node without the VIP, if there is none yet.
    fn watch(&self, link: &Link, failed: Option<CarrierFailure>) {
        if self.is_watched() {
            return;
        }
        let watch = Watch {
            ip: self.params.ip,
            link: link.name.clone(),
            attribute: self.cluster.attribute().clone(),
            failure: failed,
            lock: self.files.watcher_lock(),
        };
        let until = budgets::for_cluster(self.request.deadline);
        let spawned = self
            .files
            .create_directory()
            .map_err(announcer::Error::Directory)
            .and_then(|()| announcer::spawn_watcher(&watch, until));
        if let Err(error) = spawned {
            log::warn!("{}", failure(&error).note("nothing waits for the carrier"));
        }
    }

    fn is_watched(&self) -> bool {
        is_held(&self.files.watcher_lock())
    }

    /// This action fails for want of a carrier: takes the failure back when the carrier comes.
    pub(crate) fn fail(&self, link: &Link, is_start: bool) {
        self.publish(false);
        if !is_start {
            self.files.note_failed_monitor(self.request.interval);
        }
        let until = budgets::for_cluster(self.request.deadline);
        let Some(node) = self.cluster.node(until) else { return };
        let failed = CarrierFailure {
            resource: self.request.instance.without_clone_number().as_str().to_owned(),
            node,
            start: is_start,
            monitor: self.files.failed_monitor(),
        };
        // The watcher of an earlier action knows less.
        end_watcher(self.files, self.request.deadline);
        self.watch(link, Some(failed));
    }
}

/// Ends the process that waits for the carrier of a node without the VIP. Returns true if there was one: it
/// ends by itself when the carrier is steady.
pub(crate) fn end_watcher(files: &RunFiles, deadline: Deadline) -> bool {
    let is_watched = is_held(&files.watcher_lock());
    match announcer::end(&files.watcher_lock(), budgets::for_start_announcer(deadline)) {
        Ok(ended) => ended.release(),
        Err(error) => {
            log::warn!("{}", failure(&error).note("the watcher of the carrier does not end"));
        }
    }
    is_watched
}

/// Leaves an announcer for a VIP that can't be announced now, if there is none yet: it waits for the
/// carrier, probes, announces, and publishes that the carrier is there.
pub(crate) fn announce_observed(
    request: &Request,
    netlink: &Netlink,
    params: &Params,
    files: &RunFiles,
    observation: &Observation,
) {
    let (Some(link), Some(address)) = (&observation.link, observation.exact(params)) else {
        return;
    };
    if params.announce.is_none() || !has_neighbours(link) {
        return;
    }
    let lock = files.announcer_lock();
    if is_held(&lock) {
        return;
    }
    let place = (link.index, address.prefix);
    let tables = budgets::for_tables(request.deadline);
    let Some(announcement) = Announcement::of(params, netlink, place, tables) else { return };
    let job = Job {
        announcement,
        schedule: params.schedule.clone(),
        next: 0,
        probe_timeout: params.duplicates.map(|check| check.timeout),
        probe_first: true,
        begun: since_boot(),
        attribute: Cluster::of(request).map(|cluster| cluster.attribute().clone()),
        silent_controls: Vec::new(),
        namespace: params.namespace.clone(),
        link: LinkState::of(link),
        lock,
    };
    let until = budgets::for_start_announcer(request.deadline);
    let spawned = files
        .create_directory()
        .map_err(announcer::Error::Directory)
        .and_then(|()| announcer::spawn(&job, None, until));
    match spawned {
        Ok(_) => log::info!("{}", line().note("an announcer waits until the VIP can be announced")),
        Err(error) => {
            log::warn!("{}", failure(&error).note("no announcer: the VIP is not announced again"));
        }
    }
}
