//! Reads the CIB: resources with their templates, groups and clones, and everything around them.

use std::time::{Duration, SystemTime};

use roxmltree::{Document, Node as Xml};

use super::attributes::{self, Ids};
use super::rule::Scope;
use super::time::duration;
use super::{
    Attributes, Cib, CloneOf, Level, Node, Operation, Resource, Role, constraints, is_true, status,
};
use crate::error::{Error, Result};

/// Pacemaker's own where none is set (`PCMK_DEFAULT_ACTION_TIMEOUT_MS`).
const DEFAULT_TIMEOUT: &str = "20s";

impl Cib {
    /// Reads the XML of a CIB as it applies to a node now.
    pub(crate) fn read(xml: &str, node: &str) -> Result<Self> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self::read_at(xml, node, i64::try_from(now.as_secs()).unwrap_or(i64::MAX))
    }

    /// The same at a point in time, in seconds since 1970.
    pub(super) fn read_at(xml: &str, node: &str, now: i64) -> Result<Self> {
        let document =
            Document::parse(xml).map_err(|error| Error::NotXml { why: error.to_string() })?;
        let root = document.root_element();
        let configuration =
            child(root, "configuration").ok_or(Error::NoElement { element: "configuration" })?;
        let ids = Ids::of(root);
        let feature_set = root.attribute("crm_feature_set").map(str::to_owned);
        let mut cib = Self { feature_set, ..Self::default() };
        let empty = Attributes::new();
        let everywhere = Scope { node, attributes: &empty, resource: None, operation: None, now };
        if let Some(options) = child(configuration, "crm_config") {
            let (found, remarks) = (&mut cib.properties, &mut cib.remarks);
            attributes::read(options, "cluster_property_set", &ids, everywhere, found, remarks);
        }
        cib.read_nodes(root, configuration, &ids, everywhere);
        let own = cib.nodes.iter().find(|one| one.name == node);
        let mut attributes = own.map_or_else(Attributes::new, |own| own.attributes.clone());
        attributes.extend(own.map_or_else(Attributes::new, |own| own.transient.clone()));
        let reader =
            Reader { configuration, ids, scope: Scope { attributes: &attributes, ..everywhere } };
        cib.default_timeout = reader.default_timeout();
        if let Some(resources) = child(configuration, "resources") {
            reader.members(resources, &Place::default(), &mut cib);
        }
        let topology = child(configuration, "fencing-topology");
        let levels = topology.into_iter().flat_map(|topology| topology.children());
        cib.levels = levels.filter(|xml| xml.has_tag_name("fencing-level")).map(level).collect();
        if let Some(elements) = child(configuration, "constraints") {
            constraints::read(elements, now, &mut cib);
        }
        Ok(cib)
    }

    fn read_nodes(
        &mut self,
        root: Xml<'_, '_>,
        configuration: Xml<'_, '_>,
        ids: &Ids<'_, '_>,
        scope: Scope<'_>,
    ) {
        let states = child(root, "status").into_iter().flat_map(|status| status.children());
        let states: Vec<Xml<'_, '_>> =
            states.filter(|xml| xml.has_tag_name("node_state")).collect();
        let nodes = child(configuration, "nodes").into_iter().flat_map(|nodes| nodes.children());
        for state in states.iter().filter(|state| status::is_online(**state)) {
            let name = state.attribute("uname").unwrap_or_default();
            self.active.extend(status::active(name, *state));
        }
        for xml in nodes.filter(|xml| xml.has_tag_name("node")) {
            let name = xml.attribute("uname").unwrap_or_default();
            let mut node = Node {
                name: name.to_owned(),
                remote: xml.attribute("type").is_some_and(|kind| kind != "member"),
                ..Node::default()
            };
            let remarks = &mut self.remarks;
            let scope = Scope { node: name, ..scope };
            let set = "instance_attributes";
            attributes::read(xml, set, ids, scope, &mut node.attributes, remarks);
            let state = states.iter().find(|state| state.attribute("uname") == Some(name));
            node.online = state.is_some_and(|state| status::is_online(*state));
            if let Some(transient) = state.and_then(|state| child(*state, "transient_attributes")) {
                attributes::read(transient, set, ids, scope, &mut node.transient, remarks);
            }
            self.nodes.push(node);
        }
    }
}

pub(super) fn child<'a, 'input>(parent: Xml<'a, 'input>, tag: &str) -> Option<Xml<'a, 'input>> {
    parent.children().find(|xml| xml.has_tag_name(tag))
}

fn level(xml: Xml<'_, '_>) -> Level {
    let devices = xml.attribute("devices").unwrap_or_default().split(',');
    Level {
        target: xml.attribute("target").map(str::to_owned),
        index: xml.attribute("index").unwrap_or("1").to_owned(),
        devices: devices.map(|device| device.trim().to_owned()).collect(),
    }
}

/// What a primitive is in.
#[derive(Clone, Default)]
struct Place<'a, 'input> {
    /// From the inside out.
    around: Vec<Xml<'a, 'input>>,
    group: Option<String>,
    clone: Option<CloneOf>,
}

struct Reader<'a, 'input> {
    configuration: Xml<'a, 'input>,
    ids: Ids<'a, 'input>,
    scope: Scope<'a>,
}

impl<'a, 'input> Reader<'a, 'input> {
    /// That of `op_defaults`, which counts for operations that are not configured as well.
    fn default_timeout(&self) -> Option<Duration> {
        // The operations that are configured have the remarks.
        let (mut meta, mut remarks) = (Attributes::new(), Vec::new());
        if let Some(defaults) = child(self.configuration, "op_defaults") {
            let set = "meta_attributes";
            attributes::read(defaults, set, &self.ids, self.scope, &mut meta, &mut remarks);
        }
        duration(meta.get("timeout").map_or(DEFAULT_TIMEOUT, String::as_str))
    }

    fn members(&self, parent: Xml<'a, 'input>, place: &Place<'a, 'input>, cib: &mut Cib) {
        for xml in parent.children().filter(Xml::is_element) {
            let id = xml.attribute("id").unwrap_or_default().to_owned();
            let mut inside = place.clone();
            inside.around.insert(0, xml);
            match xml.tag_name().name() {
                "primitive" => {
                    let resource = self.primitive(xml, &id, place);
                    cib.resources.push(resource);
                }
                "group" => self.members(xml, &Place { group: Some(id), ..inside }, cib),
                // `master` is the promotable clone before Pacemaker 2.
                tag @ ("clone" | "master") => {
                    let mut meta = Attributes::new();
                    let set = "meta_attributes";
                    attributes::read(xml, set, &self.ids, self.scope, &mut meta, &mut cib.remarks);
                    let promotable = tag == "master"
                        || meta.get("promotable").is_some_and(|value| is_true(value));
                    let clone = Some(CloneOf { id, promotable });
                    self.members(xml, &Place { clone, ..inside }, cib);
                }
                "bundle" => cib.remarks.push(format!("{id}: bundles are not looked into")),
                _ => {}
            }
        }
    }

    fn primitive(&self, xml: Xml<'a, 'input>, id: &str, place: &Place<'a, 'input>) -> Resource {
        let mut remarks = Vec::new();
        let template = xml.attribute("template").and_then(|id| {
            let template = self
                .configuration
                .descendants()
                .find(|xml| xml.has_tag_name("template") && xml.attribute("id") == Some(id));
            if template.is_none() {
                remarks.push(format!("template {id} is not there"));
            }
            template
        });
        let text = |name: &str| {
            let value = xml.attribute(name).or_else(|| template?.attribute(name));
            value.map(str::to_owned)
        };
        let (class, provider, agent) =
            (text("class").unwrap_or_default(), text("provider"), text("type").unwrap_or_default());
        let scope = Scope { resource: Some((&class, provider.as_deref(), &agent)), ..self.scope };
        // Of two values the first one counts: the primitive's own, then what it is in, then defaults.
        let own: Vec<Xml<'_, '_>> = std::iter::once(xml).chain(template).collect();
        let (mut parameters, mut meta) = (Attributes::new(), Attributes::new());
        for element in &own {
            let (ids, set) = (&self.ids, "instance_attributes");
            attributes::read(*element, set, ids, scope, &mut parameters, &mut remarks);
        }
        let (ids, set) = (&self.ids, "meta_attributes");
        let mut meta_from = Attributes::new();
        for element in own.iter().chain(&place.around) {
            attributes::read(*element, set, ids, scope, &mut meta, &mut remarks);
            // What a template sets is the primitive's.
            let is_template = element.has_tag_name("template");
            let from = element.attribute("id").filter(|_| !is_template).unwrap_or(id);
            for name in meta.keys() {
                meta_from.entry(name.clone()).or_insert_with(|| from.to_owned());
            }
        }
        if let Some(defaults) = child(self.configuration, "rsc_defaults") {
            attributes::read(defaults, set, ids, scope, &mut meta, &mut remarks);
        }
        let operations = self.operations(&own, scope, &mut remarks);
        Resource {
            id: id.to_owned(),
            class,
            provider,
            agent,
            parameters,
            meta,
            meta_from,
            operations,
            group: place.group.clone(),
            clone: place.clone.clone(),
            remarks,
        }
    }

    /// The operations of the primitive, and those of its template that it does not have itself
    /// (`unpack_template` in Pacemaker's scheduler compares name and role).
    fn operations(
        &self,
        own: &[Xml<'a, 'input>],
        scope: Scope<'_>,
        remarks: &mut Vec<String>,
    ) -> Vec<Operation> {
        let mut found: Vec<Operation> = Vec::new();
        for element in own {
            let sets = element.children().filter(|xml| xml.has_tag_name("operations"));
            let sets = sets.filter_map(|set| self.ids.resolve(set));
            let here: Vec<Operation> = sets
                .flat_map(|set| set.children())
                .filter(|xml| xml.has_tag_name("op"))
                .filter_map(|xml| self.ids.resolve(xml))
                .map(|xml| self.operation(xml, scope, remarks))
                .collect();
            let known: Vec<(String, Role)> =
                found.iter().map(|one| (one.name.clone(), one.role)).collect();
            let new = |one: &Operation| {
                !known.iter().any(|(name, role)| *name == one.name && *role == one.role)
            };
            found.extend(here.into_iter().filter(new));
        }
        found
    }

    fn operation(
        &self,
        xml: Xml<'a, 'input>,
        scope: Scope<'_>,
        remarks: &mut Vec<String>,
    ) -> Operation {
        let name = xml.attribute("name").unwrap_or_default().to_owned();
        let scope = Scope { operation: Some(&name), ..scope };
        let mut meta: Attributes = ["interval", "timeout", "enabled", "role"]
            .into_iter()
            .filter_map(|name| Some((name.to_owned(), xml.attribute(name)?.to_owned())))
            .collect();
        for element in std::iter::once(xml).chain(child(self.configuration, "op_defaults")) {
            attributes::read(element, "meta_attributes", &self.ids, scope, &mut meta, remarks);
        }
        let (mut given, set) = (Attributes::new(), "instance_attributes");
        attributes::read(xml, set, &self.ids, scope, &mut given, remarks);
        let mut time = |name: &str, default: &str| {
            let value = meta.get(name).map_or(default, String::as_str);
            let read = duration(value);
            if read.is_none() {
                let id = xml.attribute("id").unwrap_or_default();
                remarks.push(format!("{name} {value} of {id} was not understood"));
            }
            read
        };
        let (interval, timeout) =
            (time("interval", "0").unwrap_or_default(), time("timeout", DEFAULT_TIMEOUT));
        Operation {
            id: xml.attribute("id").unwrap_or_default().to_owned(),
            interval,
            timeout,
            role: Role::of(meta.get("role").map(String::as_str)),
            check_level: given.remove("OCF_CHECK_LEVEL"),
            enabled: meta.get("enabled").is_none_or(|value| is_true(value)),
            name,
        }
    }
}
