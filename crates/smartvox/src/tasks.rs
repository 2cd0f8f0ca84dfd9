//! The subcommands.

use crate::agents;
use crate::cib::{Cib, Resource};
use crate::command_line::{Call, Format, Task};
use crate::error::{Error, Result};
use crate::host::Host;
use crate::metrics;
use crate::report::{self, Diagnosed, Ground};
use crate::rules::{self, Ignored, Pair, Severity};
use crate::source::{self, Origin, Source};

/// There are errors or warnings.
const FOUND: u8 = 1;

/// Could not look.
pub(crate) const FAILED: u8 = 2;

/// Returns what is printed, and the exit code.
pub(crate) fn perform(call: &Call) -> Result<(String, u8)> {
    match &call.task {
        Task::Diagnose { resource } => {
            on_configuration(call, |cib, ground| diagnose(call, cib, resource.as_deref(), ground))
        }
        Task::Check => on_configuration(call, |cib, ground| check(call, cib, ground)),
        Task::Metrics => Ok((metrics()?, 0)),
    }
}

fn on_configuration<T>(
    call: &Call,
    task: impl FnOnce(&Cib, &Ground<'_>) -> Result<T>,
) -> Result<T> {
    let source = Source::read(call.cib.as_deref())?;
    let node = source::node_name();
    let cib = Cib::read(&source.xml, &node)?;
    let mut remarks = remarks(&source, &cib, &node);
    remarks.extend(cib.remarks.iter().cloned());
    task(&cib, &Ground { origin: source.origin, node: &node, remarks: &remarks })
}

fn metrics() -> Result<String> {
    let node = source::node_name();
    let source = match Source::read(None) {
        // To monitoring that is an answer.
        Err(Error::NoCluster { .. } | Error::NotRunning { .. }) => None,
        read => Some(read?).filter(|source| source.origin != Origin::Saved),
    };
    let cib = source.map(|source| Cib::read(&source.xml, &node)).transpose()?;
    Ok(metrics::of_cluster(&node, cib.as_ref()))
}

fn remarks(source: &Source, cib: &Cib, node: &str) -> Vec<String> {
    let mut remarks = Vec::new();
    if source.origin == Origin::Saved {
        remarks.push(format!(
            "the cluster is not running on this node: this is the configuration that it has left in \
             {}",
            source::CIB_FILE
        ));
    }
    if !cib.nodes.is_empty() && !cib.nodes.iter().any(|one| one.name == node) {
        remarks.push(format!(
            "{node} is no node of this cluster: parameters that belong to one node are left out"
        ));
    }
    remarks
}

/// The resources of ours that are meant by a name.
fn chosen<'a>(cib: &'a Cib, name: Option<&str>) -> Result<Vec<&'a Resource>> {
    let meant = |resource: &&Resource| name.is_none_or(|name| resource.is_called(name));
    let found: Vec<&Resource> = cib.ours().filter(meant).collect();
    match name {
        _ if !found.is_empty() => Ok(found),
        Some(name) => Err(Error::NoSuchResource {
            id: name.to_owned(),
            known: cib.ours().map(|resource| resource.id.clone()).collect(),
        }),
        None => Err(Error::NoResource),
    }
}

fn diagnose(
    call: &Call,
    cib: &Cib,
    resource: Option<&str>,
    ground: &Ground<'_>,
) -> Result<(String, u8)> {
    let json = call.format == Format::Json;
    let format = if json { "json" } else { "text" };
    let mut diagnosed = Vec::new();
    for resource in chosen(cib, resource)? {
        let environment = agents::environment(cib, resource, ground.node);
        let arguments = ["diagnose", "--format", format];
        let printed = agents::run(&resource.agent, &arguments, &environment);
        let printed = printed.and_then(|output| match output.status.success() {
            true => Ok(output.stdout),
            false => Err(format!("diagnose of the agent failed: {}", output.stderr.trim())),
        });
        diagnosed.push(Diagnosed {
            id: &resource.id,
            agent: &resource.agent,
            remarks: &resource.remarks,
            printed,
        });
    }
    // Something is wrong with the agents, whatever else was printed.
    let failed = diagnosed.iter().any(|one| one.printed.is_err());
    let text = if json {
        report::diagnoses_as_json(ground, &diagnosed)
    } else {
        report::diagnoses_as_text(ground, &diagnosed)
    };
    Ok((text, if failed { FAILED } else { 0 }))
}

fn check(call: &Call, cib: &Cib, ground: &Ground<'_>) -> Result<(String, u8)> {
    let mut remarks = ground.remarks.to_vec();
    for resource in chosen(cib, None)? {
        let named = resource.remarks.iter().map(|remark| format!("{}: {remark}", resource.id));
        remarks.extend(named);
    }
    let ignored = Ignored::of(cib);
    let unknown = ignored.unknown.iter();
    remarks.extend(unknown.map(|name| format!("{}: there is no rule {name}", rules::IGNORE)));
    let host = Host::look(cib, ground.node, ground.origin == Origin::Cluster);
    remarks.extend(host.nodes.remarks.iter().cloned());
    let ground = Ground { remarks: &remarks, ..*ground };
    let findings = rules::findings(&Pair { cib, host: &host }, &ignored);
    let matters = findings.iter().any(|finding| finding.severity != Severity::Advice);
    let text = match call.format {
        Format::Json => report::findings_as_json(&ground, &findings, &ignored),
        Format::Text => report::findings_as_text(&ground, &findings, &ignored),
        Format::Prometheus => metrics::of_findings(ground.node, &findings),
    };
    Ok((text, if matters { FOUND } else { 0 }))
}
