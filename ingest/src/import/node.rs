//! A description as a tree of settings, whatever it was written in, and a reader of it that leaves nothing out: what nobody has
//! taken is told at the end.

use serde_json::Value as Json;

use super::findings::Notes;

/// Nodes of one description at most; a template with all its resources has some thousand.
pub(super) const NODES_MAX: usize = 200_000;
/// Deepest nesting of one description.
pub(super) const DEPTH_MAX: usize = 64;

/// A setting, or a group of them.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    Null,
    Bool(bool),
    /// As it was written.
    Number(String),
    Text(String),
    List(Vec<Node>),
    Map(Members),
    /// Something that only who deploys the description knows: what it is written as.
    Unknown(String),
}

/// In the order they were written; a name that stands twice has its last value.
pub(super) type Members = Vec<(String, Node)>;

impl Node {
    pub(super) fn from_json(json: &Json) -> Node {
        match json {
            Json::Null => Node::Null,
            Json::Bool(flag) => Node::Bool(*flag),
            Json::Number(number) => Node::Number(number.to_string()),
            Json::String(text) => Node::Text(text.clone()),
            Json::Array(items) => Node::List(items.iter().map(Node::from_json).collect()),
            Json::Object(members) => {
                Node::Map(members.iter().map(|(name, value)| (name.clone(), Node::from_json(value))).collect())
            }
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<&Node> {
        match self {
            Node::Map(members) => members.iter().rev().find(|(known, _)| known == name).map(|(_, node)| node),
            _ => None,
        }
    }

    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Node::Text(text) | Node::Number(text) => Some(text),
            Node::Bool(true) => Some("true"),
            Node::Bool(false) => Some("false"),
            _ => None,
        }
    }

    pub(super) fn members(&self) -> &[(String, Node)] {
        match self {
            Node::Map(members) => members,
            _ => &[],
        }
    }

    pub(super) fn items(&self) -> &[Node] {
        match self {
            Node::List(items) => items,
            _ => &[],
        }
    }

    /// On one line, cut to what a list of settings has room for.
    pub(super) fn shown(&self) -> String {
        let text = match self {
            Node::Null => "null".to_string(),
            Node::Unknown(written) => written.clone(),
            Node::List(items) => format!("[{}]", items.iter().map(Node::shown).collect::<Vec<_>>().join(", ")),
            Node::Map(members) => {
                let members: Vec<String> =
                    members.iter().map(|(name, node)| format!("{name}: {}", node.shown())).collect();
                format!("{{{}}}", members.join(", "))
            }
            scalar => scalar.text().unwrap_or_default().to_string(),
        };
        shorten(&text)
    }
}

/// Most characters of a value that a list of settings shows.
const SHOWN_MAX: usize = 120;

pub(super) fn shorten(text: &str) -> String {
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    match plain.char_indices().nth(SHOWN_MAX) {
        Some((at, _)) => format!("{}...", &plain[..at]),
        None => plain,
    }
}

/// A group of settings that are taken one by one.
#[derive(Debug)]
pub(super) struct Settings {
    path: String,
    left: Members,
}

impl Settings {
    /// `path`: where the group stands, empty for the description itself.
    pub(super) fn new(path: &str, node: Node) -> Settings {
        let left = match node {
            Node::Map(members) => members.into_iter().filter(|(_, node)| *node != Node::Null).collect(),
            Node::Null => Vec::new(),
            other => vec![("?".to_string(), other)],
        };
        Settings { path: path.to_string(), left }
    }

    /// A setting's full name.
    pub(super) fn name(&self, setting: &str) -> String {
        if self.path.is_empty() { setting.to_string() } else { format!("{}.{setting}", self.path) }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.left.iter().any(|(known, _)| known == name)
    }

    pub(super) fn take(&mut self, name: &str) -> Option<Node> {
        let mut found = None;
        self.left.retain_mut(|(known, node)| {
            let same = known == name;
            if same {
                found = Some(std::mem::replace(node, Node::Null));
            }
            !same
        });
        found
    }

    /// A setting of one value. One that is something else is a problem.
    pub(super) fn text(&mut self, name: &str, notes: &mut Notes) -> Option<String> {
        let full = self.name(name);
        match self.take(name)? {
            Node::Unknown(written) => {
                notes.block(
                    &full,
                    format!("is `{written}`, which the description does not hold: write --var '{written}=...'"),
                );
                None
            }
            node => {
                let text = node.text().map(str::to_string);
                if text.is_none() {
                    notes.block(&full, format!("is {}, and not one value", node.shown()));
                }
                text
            }
        }
    }

    /// A whole number.
    pub(super) fn number(&mut self, name: &str, notes: &mut Notes) -> Option<u64> {
        let text = self.text(name, notes)?;
        let number = text.parse().ok();
        if number.is_none() {
            notes.block(&self.name(name), format!("is `{text}`, and not a whole number"));
        }
        number
    }

    pub(super) fn flag(&mut self, name: &str, notes: &mut Notes) -> Option<bool> {
        let text = self.text(name, notes)?;
        let flag = match text.as_str() {
            "true" | "True" => Some(true),
            "false" | "False" => Some(false),
            _ => None,
        };
        if flag.is_none() {
            notes.block(&self.name(name), format!("is `{text}`, and neither true nor false"));
        }
        flag
    }

    pub(super) fn section(&mut self, name: &str) -> Option<Settings> {
        let path = self.name(name);
        let settings = Settings::new(&path, self.take(name)?);
        // Terraform's empty blocks are there, and say nothing.
        Some(settings)
    }

    pub(super) fn list(&mut self, name: &str) -> Vec<Settings> {
        let path = self.name(name);
        match self.take(name) {
            None => Vec::new(),
            Some(Node::List(items)) => {
                items.into_iter().enumerate().map(|(at, item)| Settings::new(&format!("{path}[{at}]"), item)).collect()
            }
            Some(other) => vec![Settings::new(&path, other)],
        }
    }

    /// Says of each setting what becomes of all that is in it.
    pub(super) fn say(&mut self, names: &[&str], mut say: impl FnMut(&str, String)) {
        for name in names {
            if let Some(node) = self.take(name) {
                say(&self.name(name), node.shown());
            }
        }
    }

    /// Tells what nobody took.
    pub(super) fn finish(self, notes: &mut Notes) {
        for (name, node) in &self.left {
            leaves(&self.name(name), node, notes, 0);
        }
    }
}

impl Settings {
    pub(super) fn name_of(&self) -> &str {
        &self.path
    }
}

fn leaves(path: &str, node: &Node, notes: &mut Notes, depth: usize) {
    match node {
        Node::Map(members) if !members.is_empty() && depth < DEPTH_MAX => {
            members.iter().for_each(|(name, node)| leaves(&format!("{path}.{name}"), node, notes, depth + 1));
        }
        node => {
            notes.unsupported(path, node.shown(), "no such setting is known to this importer: nothing was made of it")
        }
    }
}
