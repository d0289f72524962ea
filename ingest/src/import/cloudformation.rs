//! A CloudFormation template, its functions worked out as far as the template itself tells: parameters with defaults, mappings,
//! conditions, and the names that resources are given in it.

use std::cell::Cell;
use std::collections::BTreeMap;

use super::describe::Described;
use super::glue::GlueTable;
use super::node::{DEPTH_MAX, Members, NODES_MAX, Node};

const STREAM: &str = "AWS::KinesisFirehose::DeliveryStream";
const TABLE: &str = "AWS::Glue::Table";

/// Values somebody gives for what a description leaves open, by what it is written as there.
pub type Variables = BTreeMap<String, String>;

/// The streams of a template, each under its logical id, and its Glue tables.
pub(super) fn streams(template: &Node, variables: &Variables) -> Result<Described, String> {
    let template = Template { root: template, variables, left: Cell::new(NODES_MAX) };
    let resources = template.root.get("Resources").map(Node::members).unwrap_or_default();
    if resources.is_empty() {
        return Err("the template has no resources".into());
    }
    let of = |wanted: &'static str| {
        resources.iter().filter(move |(_, node)| node.get("Type").and_then(Node::text) == Some(wanted))
    };
    let mut described = Described::default();
    for (id, node) in of(STREAM) {
        let properties = template.resolve(node.get("Properties").unwrap_or(&Node::Null), 0);
        described.streams.push((id.clone(), named(properties, id)));
        let others = node.members().iter().filter(|(name, _)| !matches!(name.as_str(), "Type" | "Properties"));
        described.beside.extend(others.map(|(name, node)| (format!("{id}.{name}"), node.shown())));
    }
    for (_, node) in of(TABLE) {
        let properties = template.resolve(node.get("Properties").unwrap_or(&Node::Null), 0);
        described.tables.extend(GlueTable::read(&properties));
    }
    Ok(described)
}

/// A stream that is given no name gets one of its logical id, as in CloudFormation.
fn named(properties: Node, id: &str) -> Node {
    match properties {
        Node::Map(mut members) => {
            if !members.iter().any(|(name, _)| name == "DeliveryStreamName") {
                members.push(("DeliveryStreamName".to_string(), Node::Text(id.to_string())));
            }
            Node::Map(members)
        }
        other => other,
    }
}

struct Template<'t> {
    root: &'t Node,
    variables: &'t Variables,
    /// Values that may still be worked out: templates can refer to themselves, several times over.
    left: Cell<usize>,
}

/// Longest text that is put together.
const TEXT_MAX: usize = 64 * 1024;

/// What `AWS::NoValue` leaves: nothing.
enum Resolved {
    Node(Node),
    Nothing,
}

impl Template<'_> {
    fn resolve(&self, node: &Node, depth: usize) -> Node {
        match self.resolved(node, depth) {
            Resolved::Node(node) => node,
            Resolved::Nothing => Node::Null,
        }
    }

    fn resolved(&self, node: &Node, depth: usize) -> Resolved {
        if depth > DEPTH_MAX || !self.spend() {
            return Resolved::Node(Node::Unknown("something that refers to itself, or is too large".into()));
        }
        let next = depth + 1;
        let some = |node: Node| if node == Node::Null { Resolved::Nothing } else { Resolved::Node(node) };
        match node {
            Node::List(items) => {
                let items = items.iter().filter_map(|item| match self.resolved(item, next) {
                    Resolved::Node(node) => Some(node),
                    Resolved::Nothing => None,
                });
                Resolved::Node(Node::List(items.collect()))
            }
            Node::Map(members) => match members.as_slice() {
                [(name, argument)] if name == "Ref" => match argument.text() {
                    Some("AWS::NoValue") => Resolved::Nothing,
                    Some(id) => some(self.reference(id, next)),
                    None => Resolved::Node(unknown("Ref", argument)),
                },
                [(name, argument)] if name.starts_with("Fn::") => match self.function(name, argument, next) {
                    Some(node) => some(node),
                    None => Resolved::Node(unknown(name, argument)),
                },
                members => Resolved::Node(Node::Map(self.members(members, next))),
            },
            scalar => Resolved::Node(scalar.clone()),
        }
    }

    fn spend(&self) -> bool {
        let left = self.left.get();
        self.left.set(left.saturating_sub(1));
        left > 0
    }

    fn members(&self, members: &[(String, Node)], depth: usize) -> Members {
        let resolved = members.iter().filter_map(|(name, node)| match self.resolved(node, depth) {
            Resolved::Node(node) => Some((name.clone(), node)),
            Resolved::Nothing => None,
        });
        resolved.collect()
    }

    /// `Ref`: a parameter's default, a pseudo parameter, or what a resource is called.
    fn reference(&self, id: &str, depth: usize) -> Node {
        if let Some(value) = self.variables.get(id) {
            return Node::Text(value.clone());
        }
        match id {
            "AWS::Partition" => return Node::Text("aws".into()),
            "AWS::URLSuffix" => return Node::Text("amazonaws.com".into()),
            "AWS::NoValue" => return Node::Null,
            _ => {}
        }
        let parameter = self.root.get("Parameters").and_then(|all| all.get(id));
        if let Some(default) = parameter.and_then(|p| p.get("Default")) {
            return default.clone();
        }
        self.called(id, depth).unwrap_or_else(|| Node::Unknown(id.to_string()))
    }

    /// The name a resource is given in the template.
    fn called(&self, id: &str, depth: usize) -> Option<Node> {
        let resource = self.root.get("Resources")?.get(id)?;
        let properties = resource.get("Properties")?;
        let name = match resource.get("Type")?.text()? {
            "AWS::S3::Bucket" => properties.get("BucketName")?,
            "AWS::Kinesis::Stream" => properties.get("Name")?,
            "AWS::Glue::Database" => properties.get("DatabaseInput")?.get("Name")?,
            TABLE => properties.get("TableInput")?.get("Name")?,
            STREAM => properties.get("DeliveryStreamName")?,
            _ => return None,
        };
        Some(self.resolve(name, depth))
    }

    fn attribute(&self, id: &str, attribute: &str, depth: usize) -> Node {
        let written = format!("{id}.{attribute}");
        if let Some(value) = self.variables.get(&written) {
            return Node::Text(value.clone());
        }
        let resource = self.root.get("Resources").and_then(|all| all.get(id));
        let kind = resource.and_then(|r| r.get("Type")).and_then(Node::text);
        let arn = match (kind, self.called(id, depth), attribute) {
            (Some("AWS::S3::Bucket"), Some(Node::Text(name)), "Arn") => Some(format!("arn:aws:s3:::{name}")),
            (Some("AWS::Kinesis::Stream"), Some(Node::Text(name)), "Arn") => {
                Some(format!("arn:aws:kinesis:::stream/{name}"))
            }
            _ => None,
        };
        arn.map_or(Node::Unknown(written), Node::Text)
    }

    /// `None`: not worked out.
    fn function(&self, name: &str, argument: &Node, depth: usize) -> Option<Node> {
        match name {
            "Fn::GetAtt" => match argument {
                Node::Text(text) => text.split_once('.').map(|(id, attribute)| self.attribute(id, attribute, depth)),
                other => match other.items() {
                    [id, attribute] => Some(self.attribute(id.text()?, attribute.text()?, depth)),
                    _ => None,
                },
            },
            "Fn::Sub" => match argument {
                Node::Text(text) => Some(self.substitute(text, &[], depth)),
                other => match other.items() {
                    [Node::Text(text), given] => {
                        Some(self.substitute(text, &self.members(given.members(), depth), depth))
                    }
                    [Node::Text(text)] => Some(self.substitute(text, &[], depth)),
                    _ => None,
                },
            },
            "Fn::Join" => match argument.items() {
                [separator, items] => {
                    let items = self.resolve(items, depth);
                    Some(joined(separator.text()?, items.items()))
                }
                _ => None,
            },
            "Fn::Select" => match argument.items() {
                [index, items] => {
                    let index: usize = self.resolve(index, depth).text()?.parse().ok()?;
                    self.resolve(items, depth).items().get(index).cloned()
                }
                _ => None,
            },
            "Fn::Split" => match argument.items() {
                [separator, text] => {
                    let text = self.resolve(text, depth);
                    let separator = separator.text().filter(|s| !s.is_empty())?;
                    Some(Node::List(text.text()?.split(separator).map(|part| Node::Text(part.to_string())).collect()))
                }
                _ => None,
            },
            "Fn::FindInMap" => match argument.items() {
                [map, first, second, ..] => {
                    let (first, second) = (self.resolve(first, depth), self.resolve(second, depth));
                    let map = self.root.get("Mappings")?.get(map.text()?)?;
                    map.get(first.text()?)?.get(second.text()?).cloned()
                }
                _ => None,
            },
            "Fn::If" => match argument.items() {
                [condition, yes, no] => {
                    let chosen = if self.condition(condition.text()?, depth)? { yes } else { no };
                    Some(self.resolve(chosen, depth))
                }
                _ => None,
            },
            _ => None,
        }
    }

    fn condition(&self, name: &str, depth: usize) -> Option<bool> {
        self.truth(self.root.get("Conditions")?.get(name)?, depth)
    }

    fn truth(&self, node: &Node, depth: usize) -> Option<bool> {
        let [(name, argument)] = node.members() else { return None };
        if depth > DEPTH_MAX || !self.spend() {
            return None;
        }
        let all = || argument.items().iter().map(|node| self.truth(node, depth + 1)).collect::<Option<Vec<bool>>>();
        match name.as_str() {
            "Condition" => self.condition(argument.text()?, depth + 1),
            "Fn::Equals" => {
                let resolved = self.resolve(argument, depth + 1);
                match resolved.items() {
                    [a, b] => Some(a.text()? == b.text()?),
                    _ => None,
                }
            }
            "Fn::Not" => Some(!*all()?.first()?),
            "Fn::And" => Some(all()?.into_iter().all(|truth| truth)),
            "Fn::Or" => Some(all()?.into_iter().any(|truth| truth)),
            _ => None,
        }
    }

    /// `${Name}` and `${Resource.Attribute}` of a text; `${!Name}` is `${Name}`.
    fn substitute(&self, text: &str, given: &[(String, Node)], depth: usize) -> Node {
        let mut out = String::new();
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            out.push_str(&rest[..at]);
            let Some((name, behind)) = rest[at + 2..].split_once('}') else { break };
            rest = behind;
            if let Some(literal) = name.strip_prefix('!') {
                out.push_str(&format!("${{{literal}}}"));
                continue;
            }
            let name = name.trim();
            let own = given.iter().find(|(known, _)| known == name).map(|(_, node)| node.clone());
            let value = own.unwrap_or_else(|| match name.split_once('.') {
                Some((id, attribute)) => self.attribute(id, attribute, depth),
                None => self.reference(name, depth),
            });
            match value.text() {
                Some(value) if out.len() + value.len() <= TEXT_MAX => out.push_str(value),
                Some(_) => return Node::Unknown("a text that is too long".into()),
                None => return value,
            }
        }
        out.push_str(rest);
        Node::Text(out)
    }
}

fn joined(separator: &str, items: &[Node]) -> Node {
    let mut texts = Vec::new();
    for item in items {
        match item.text() {
            Some(text) => texts.push(text),
            None => return item.clone(),
        }
    }
    if texts.iter().map(|text| text.len() + separator.len()).sum::<usize>() > TEXT_MAX {
        return Node::Unknown("a text that is too long".into());
    }
    Node::Text(texts.join(separator))
}

fn unknown(name: &str, argument: &Node) -> Node {
    Node::Unknown(format!("{name} {}", argument.shown()))
}
