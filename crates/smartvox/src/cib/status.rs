//! What the nodes have reported: the section status of the CIB.

use roxmltree::Node as Xml;

use super::read::child;

/// A resource of ocf:smartvox on a node that runs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Active {
    pub(crate) resource: String,
    pub(crate) agent: String,
    pub(crate) node: String,
    /// It serves with a fault: the last result is OCF_DEGRADED or OCF_DEGRADED_PROMOTED.
    pub(crate) degraded: bool,
}

/// OCF_SUCCESS, OCF_RUNNING_PROMOTED, OCF_DEGRADED and OCF_DEGRADED_PROMOTED: a result of an action other than
/// stop after which the resource runs.
const ACTIVE: [&str; 4] = ["0", "8", "190", "191"];

/// A result that Pacemaker remembers.
struct Remembered<'a> {
    operation: &'a str,
    /// The name of the operation with its interval.
    key: &'a str,
    /// The number of the call; actions are called in this order. -1 while the first one is going on.
    call: i64,
    code: &'a str,
    /// When the result became this one, in seconds.
    since: i64,
}

impl<'a> Remembered<'a> {
    fn read(xml: Xml<'a, '_>) -> Self {
        let text = |name| xml.attribute(name).unwrap_or_default();
        let number = |name| text(name).parse().unwrap_or(-1);
        Self {
            operation: text("operation"),
            key: text("operation_key"),
            call: number("call-id"),
            code: text("rc-code"),
            since: number("last-rc-change"),
        }
    }

    fn is_degraded(&self) -> bool {
        matches!(self.code, "190" | "191")
    }
}

/// Whether the node is in the cluster. The values are words, and since Pacemaker 2.1.7 points in time, where 0
/// stands for never.
pub(crate) fn is_online(state: Xml<'_, '_>) -> bool {
    let holds = |name| {
        let value = state.attribute(name);
        value.is_some_and(|value| !matches!(value, "false" | "offline" | "0"))
    };
    // A remote node has no controller of its own.
    let is_remote = state.attribute("remote_node") == Some("true");
    holds("in_ccm") && (is_remote || holds("crmd"))
}

/// The resources of ocf:smartvox that a node runs by what it has reported.
pub(crate) fn active(node: &str, state: Xml<'_, '_>) -> Vec<Active> {
    let executor = child(state, "lrm").and_then(|lrm| child(lrm, "lrm_resources"));
    let resources = executor.into_iter().flat_map(|all| all.children());
    let ours = resources.filter(|xml| xml.attribute("provider") == Some("smartvox"));
    ours.filter_map(|xml| {
        let id = xml.attribute("id")?;
        Some(Active {
            // An instance of a clone may have its number behind the name.
            resource: id.split(':').next().unwrap_or(id).to_owned(),
            agent: xml.attribute("type").unwrap_or_default().to_owned(),
            node: node.to_owned(),
            degraded: is_degraded(xml)?,
        })
    })
    .collect()
}

/// `None`: the node does not run the resource, an action that decides it is going on, or nothing says how it is.
///
/// A degraded result is a failure to the controller's history (`pcmk__create_history_xml`): it goes into
/// `last_failure_0` and stays there until a cleanup, and the entry of the monitor keeps its former result until
/// the fault is over. So the later one of the two counts. There is one `last_failure_0` for all monitors of a
/// resource. A monitor that is cancelled, as in maintenance mode, takes its entry with it and leaves
/// `last_failure_0` (`erase_lrm_history_by_op`): then nothing says whether the fault is over.
fn is_degraded(resource: Xml<'_, '_>) -> Option<bool> {
    let (mut last, mut failure, mut monitors) = (None, None, Vec::new());
    for xml in resource.children().filter(|xml| xml.has_tag_name("lrm_rsc_op")) {
        let id = xml.attribute("id").unwrap_or_default();
        if id.ends_with("_last_0") {
            last = Some(Remembered::read(xml));
        } else if xml.attribute("interval").is_none_or(|interval| interval == "0") {
            continue;
        } else if id.ends_with("_last_failure_0") {
            failure = Some(Remembered::read(xml));
        } else {
            monitors.push(Remembered::read(xml));
        }
    }
    let last = last?;
    if last.operation == "stop" || !ACTIVE.contains(&last.code) || monitors.is_empty() {
        return None;
    }
    if let Some(failure) = failure
        && monitors.iter().any(|monitor| monitor.key == failure.key)
    {
        monitors.push(failure);
    }
    // Those of an earlier start, or of the other role, stay as well.
    monitors.retain(|monitor| monitor.call > last.call);
    let is_over = |one: &Remembered<'_>| {
        monitors.iter().any(|other| other.key == one.key && other.since > one.since)
    };
    let mut current = monitors.iter().filter(|one| !is_over(one)).peekable();
    if current.peek().is_none() {
        return Some(last.is_degraded());
    }
    current.try_fold(false, |degraded, one| {
        // It does not serve, whatever the last action was: on-fail=ignore, or not managed.
        ACTIVE.contains(&one.code).then_some(degraded || one.is_degraded())
    })
}

#[cfg(test)]
mod tests {
    use roxmltree::Document;

    use super::*;

    /// `ID KEY CALL CODE SINCE` of each result, as Pacemaker has them without the name of the resource.
    fn told(results: &[&str]) -> Option<bool> {
        let mut inside = String::new();
        for result in results {
            let [id, key, call, code, since] = result.split(' ').collect::<Vec<_>>()[..] else {
                panic!("{result}")
            };
            let (operation, interval) = key.rsplit_once('_').unwrap();
            inside += &format!(
                "<lrm_rsc_op id=\"vip_{id}\" operation_key=\"vip_{key}\" operation=\"{operation}\" \
                 call-id=\"{call}\" rc-code=\"{code}\" interval=\"{interval}\" \
                 last-rc-change=\"{since}\"/>"
            );
        }
        let xml = format!("<lrm_resource id=\"vip\">{inside}</lrm_resource>");
        is_degraded(Document::parse(&xml).unwrap().root_element())
    }

    const STARTED: &str = "last_0 start_0 6 0 100";
    const FAULT: &str = "last_failure_0 monitor_2000 7 190 110";

    #[test]
    fn the_last_result_of_each_monitor_counts() {
        assert_eq!(told(&[STARTED, "monitor_2000 monitor_2000 7 0 100"]), Some(false));
        // It was well before.
        assert_eq!(told(&[STARTED, "monitor_2000 monitor_2000 7 0 100", FAULT]), Some(true));
        // The first result was a fault: nothing but the monitor that was called.
        assert_eq!(told(&[STARTED, "monitor_2000 monitor_2000 -1 193 110", FAULT]), Some(true));
        // The fault is over. Pacemaker still shows it.
        assert_eq!(told(&[STARTED, "monitor_2000 monitor_2000 7 0 120", FAULT]), Some(false));
        // Another monitor has found it.
        let level_10 = "last_failure_0 monitor_15000 8 190 110";
        let later = "monitor_2000 monitor_2000 7 0 120";
        let well_before = "monitor_15000 monitor_15000 8 0 101";
        assert_eq!(told(&[STARTED, later, well_before, level_10]), Some(true));
    }

    #[test]
    fn without_a_monitor_the_action_itself_counts() {
        let promoted = "last_0 promote_0 9 191 130";
        assert_eq!(told(&[promoted, "monitor_2000 monitor_2000 7 0 100"]), Some(true));
        assert_eq!(told(&[promoted, "monitor_1000 monitor_1000 10 8 131"]), Some(false));
        // Without any monitor nothing is known, as in maintenance mode.
        assert_eq!(told(&["last_0 monitor_0 5 190 100"]), None);
        assert_eq!(told(&[STARTED]), None);
    }

    #[test]
    fn a_monitor_that_was_cancelled_says_nothing() {
        // Maintenance mode: Pacemaker keeps the failure alone.
        assert_eq!(told(&[STARTED, FAULT]), None);
        // Another interval.
        let other = "monitor_3000 monitor_3000 9 0 130";
        assert_eq!(told(&[STARTED, other, FAULT]), Some(false));
    }

    #[test]
    fn what_has_failed_does_not_serve() {
        let well = "monitor_2000 monitor_2000 7 0 100";
        for code in ["1", "7", "9"] {
            let failure = format!("last_failure_0 monitor_2000 7 {code} 110");
            assert_eq!(told(&[STARTED, well, &failure]), None, "{code}");
            let after = "monitor_2000 monitor_2000 7 0 120";
            assert_eq!(told(&[STARTED, after, &failure]), Some(false), "{code}");
        }
    }

    #[test]
    fn what_an_earlier_start_has_left_does_not_count() {
        let again = "last_0 start_0 32 0 200";
        let old = "last_failure_0 monitor_1000 26 191 150";
        assert_eq!(told(&[again, old, "monitor_2000 monitor_2000 33 0 201"]), Some(false));
        assert_eq!(told(&[again, old]), None);
    }

    #[test]
    fn what_does_not_run_is_not_told() {
        for last in ["stop_0 9 0", "stop_0 9 1", "monitor_0 9 7", "start_0 9 1", "start_0 -1 193"] {
            assert_eq!(told(&[&format!("last_0 {last} 120"), FAULT]), None, "{last}");
        }
        assert_eq!(told(&[FAULT]), None);
    }

    #[test]
    fn a_node_is_online_by_words_and_by_times() {
        for (xml, online) in [
            (r#"<node_state in_ccm="true" crmd="online"/>"#, true),
            (r#"<node_state in_ccm="1795968000" crmd="1795968001"/>"#, true),
            (r#"<node_state in_ccm="false" crmd="offline"/>"#, false),
            (r#"<node_state in_ccm="1795968000" crmd="0"/>"#, false),
            (r#"<node_state in_ccm="true"/>"#, false),
            (r#"<node_state remote_node="true" in_ccm="true"/>"#, true),
            (r#"<node_state remote_node="true" in_ccm="false"/>"#, false),
        ] {
            let document = Document::parse(xml).unwrap();
            assert_eq!(is_online(document.root_element()), online, "{xml}");
        }
    }
}
