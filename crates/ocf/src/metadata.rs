//! OCF 1.1 meta-data, made from the description.
//!
//! Schema: ClusterLabs/OCF-spec, ra/1.1/ra-api.rng. The order of a parameter's children
//! (deprecated, longdesc, shortdesc, content) is part of that schema.

use std::fmt::{self, Write};

use crate::{Description, Kind, Parameter};

/// The meta-data of an agent: an XML document that ends with a newline.
pub(crate) fn meta_data(description: &Description) -> String {
    let mut xml = String::with_capacity(8 * 1024);
    // Writing to a String can't fail.
    let _ = write_document(&mut xml, description);
    xml
}

fn write_document(xml: &mut String, description: &Description) -> fmt::Result {
    writeln!(xml, "<?xml version=\"1.0\"?>")?;
    writeln!(
        xml,
        "<resource-agent name=\"{}\" version=\"{}\">",
        Escaped(description.name),
        Escaped(description.version)
    )?;
    writeln!(xml, "  <version>1.1</version>")?;
    write_texts(xml, "  ", description.longdesc, description.shortdesc)?;
    writeln!(xml, "  <parameters>")?;
    for parameter in description.parameters {
        write_parameter(xml, parameter)?;
    }
    writeln!(xml, "  </parameters>")?;
    writeln!(xml, "  <actions>")?;
    for offered in description.actions.iter().filter(|it| !it.action.is_for_people()) {
        write!(xml, "    <action name=\"{}\"", offered.action)?;
        if let Some(role) = offered.role {
            write!(xml, " role=\"{}\"", Escaped(role))?;
        }
        if let Some(depth) = offered.depth {
            write!(xml, " depth=\"{depth}\"")?;
        }
        write!(xml, " timeout=\"{}s\"", offered.timeout_s)?;
        if let Some(interval) = offered.interval_s {
            write!(xml, " interval=\"{interval}s\"")?;
        }
        writeln!(xml, "/>")?;
    }
    writeln!(xml, "  </actions>")?;
    writeln!(xml, "</resource-agent>")
}

fn write_parameter(xml: &mut String, parameter: &Parameter) -> fmt::Result {
    write!(xml, "    <parameter name=\"{}\"", Escaped(parameter.name))?;
    write!(xml, " required=\"{}\"", u8::from(parameter.required))?;
    if let Some(group) = parameter.unique_group {
        write!(xml, " unique-group=\"{}\"", Escaped(group))?;
    }
    writeln!(xml, " reloadable=\"{}\">", u8::from(parameter.reloadable))?;
    if let Some(deprecated) = parameter.deprecated {
        writeln!(xml, "      <deprecated>")?;
        if let Some(name) = deprecated.replaced_with {
            writeln!(xml, "        <replaced-with name=\"{}\"/>", Escaped(name))?;
        }
        writeln!(xml, "        <desc lang=\"en\">{}</desc>", Escaped(deprecated.desc))?;
        writeln!(xml, "      </deprecated>")?;
    }
    write_texts(xml, "      ", parameter.longdesc, parameter.shortdesc)?;
    let content = match parameter.kind {
        Kind::Boolean => "boolean",
        Kind::String => "string",
        Kind::Integer => "integer",
        Kind::Select(_) => "select",
    };
    write!(xml, "      <content type=\"{content}\"")?;
    if let Some(default) = parameter.default {
        write!(xml, " default=\"{}\"", Escaped(default))?;
    }
    if let Kind::Select(options) = parameter.kind {
        writeln!(xml, ">")?;
        for option in options {
            writeln!(xml, "        <option value=\"{}\"/>", Escaped(option))?;
        }
        writeln!(xml, "      </content>")?;
    } else {
        writeln!(xml, "/>")?;
    }
    writeln!(xml, "    </parameter>")
}

fn write_texts(xml: &mut String, indent: &str, longdesc: &str, shortdesc: &str) -> fmt::Result {
    writeln!(xml, "{indent}<longdesc lang=\"en\">\n{}\n{indent}</longdesc>", Escaped(longdesc))?;
    writeln!(xml, "{indent}<shortdesc lang=\"en\">{}</shortdesc>", Escaped(shortdesc))
}

/// Text with the five special characters of XML escaped.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '"' => f.write_str("&quot;"),
            '\'' => f.write_str("&apos;"),
            c => f.write_char(c),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Action, ActionDescription, Deprecated};

    #[test]
    fn a_parser_reads_back_what_was_described() {
        static OLD: Parameter = Parameter {
            name: "old",
            kind: Kind::Select(&["a", "b"]),
            default: Some("<&\"'>"),
            unique_group: Some("g"),
            reloadable: true,
            deprecated: Some(Deprecated { replaced_with: Some("new"), desc: "Use new." }),
            shortdesc: "Short",
            longdesc: "Long & <long>",
            ..Parameter::TEMPLATE
        };
        static ACTIONS: [ActionDescription; 1] = [ActionDescription {
            interval_s: Some(10),
            depth: Some(10),
            role: Some("Promoted"),
            ..ActionDescription::new(Action::Monitor, 20)
        }];
        static DESCRIPTION: Description = Description {
            name: "agent",
            version: "1.2.3",
            shortdesc: "s",
            longdesc: "l",
            parameters: &[&OLD],
            actions: &ACTIONS,
        };
        let xml = meta_data(&DESCRIPTION);
        let document = roxmltree::Document::parse(&xml).expect("well-formed");
        let node = |tag: &str| {
            document.descendants().find(|n| n.has_tag_name(tag)).unwrap_or_else(|| panic!("{tag}"))
        };
        assert_eq!(node("version").text(), Some("1.1"));
        assert_eq!(node("parameter").attribute("unique-group"), Some("g"));
        assert_eq!(node("parameter").attribute("required"), Some("0"));
        assert_eq!(node("parameter").attribute("reloadable"), Some("1"));
        assert_eq!(node("replaced-with").attribute("name"), Some("new"));
        assert_eq!(node("content").attribute("default"), Some("<&\"'>"));
        assert_eq!(node("action").attribute("timeout"), Some("20s"));
        assert_eq!(node("action").attribute("role"), Some("Promoted"));
        let order: Vec<_> = node("parameter")
            .children()
            .filter(roxmltree::Node::is_element)
            .map(|n| n.tag_name().name())
            .collect();
        assert_eq!(order, ["deprecated", "longdesc", "shortdesc", "content"]);
    }
}
