//! YAML as a tree of settings, CloudFormation's short functions (`!Ref`, `!Sub`, `!GetAtt`) written out. The one doorway to
//! saphyr-parser.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Tag};

use super::node::{DEPTH_MAX, Members, NODES_MAX, Node};

/// The first document of a text.
pub(super) fn parse(text: &str) -> Result<Node, String> {
    let mut build = Build { open: Vec::new(), anchors: HashMap::new(), nodes: 0, root: None };
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|e| format!("line {}: not YAML: {}", e.marker().line(), e.info()))?;
        let line = span.start.line();
        build.event(event).map_err(|what| format!("line {line}: {what}"))?;
        if build.root.is_some() && build.open.is_empty() {
            break;
        }
    }
    build.root.ok_or_else(|| "there is nothing in it".to_string())
}

/// A list or map that is not at its end.
struct Open {
    tag: Option<String>,
    anchor: usize,
    what: Kind,
}

enum Kind {
    List(Vec<Node>),
    /// Members, and the name that waits for its value.
    Map(Members, Option<String>),
}

struct Build {
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    root: Option<Node>,
}

impl Build {
    fn event(&mut self, event: Event<'_>) -> Result<(), String> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let tag = tag.as_deref().and_then(function);
                self.add(written_out(tag.clone(), scalar(&text, style, tag.is_some())), anchor)
            }
            Event::SequenceStart(anchor, tag) => self.begin(anchor, tag.as_deref(), Kind::List(Vec::new())),
            Event::MappingStart(anchor, tag) => self.begin(anchor, tag.as_deref(), Kind::Map(Vec::new(), None)),
            Event::SequenceEnd | Event::MappingEnd => {
                let open = self.open.pop().ok_or("an end without its beginning")?;
                let node = match open.what {
                    Kind::List(items) => Node::List(items),
                    Kind::Map(members, _) => Node::Map(members),
                };
                self.add(written_out(open.tag, node), open.anchor)
            }
            Event::Alias(anchor) => {
                let node = self.anchors.get(&anchor).cloned().ok_or("an alias of something that is not there")?;
                self.nodes += count(&node);
                self.add(node, 0)
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) | Event::DocumentEnd => {
                Ok(())
            }
        }
    }

    fn begin(&mut self, anchor: usize, tag: Option<&Tag>, what: Kind) -> Result<(), String> {
        if self.open.len() >= DEPTH_MAX {
            return Err(format!("nested deeper than {DEPTH_MAX} levels"));
        }
        self.open.push(Open { tag: tag.and_then(function), anchor, what });
        Ok(())
    }

    fn add(&mut self, node: Node, anchor: usize) -> Result<(), String> {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            return Err(format!("more than {NODES_MAX} values, aliases written out"));
        }
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut().map(|open| &mut open.what) {
            None => self.root = Some(node),
            Some(Kind::List(items)) => items.push(node),
            Some(Kind::Map(members, name)) => match name.take() {
                Some(name) => members.push((name, node)),
                None => *name = Some(node.text().ok_or("a name that is no plain text")?.to_string()),
            },
        }
        Ok(())
    }
}

fn count(node: &Node) -> usize {
    match node {
        Node::List(items) => 1 + items.iter().map(count).sum::<usize>(),
        Node::Map(members) => 1 + members.iter().map(|(_, node)| count(node)).sum::<usize>(),
        _ => 1,
    }
}

/// `!Sub` is `Fn::Sub`, `!Ref` is `Ref`, and YAML's own tags are none of a function.
fn function(tag: &Tag) -> Option<String> {
    (tag.handle == "!" && !tag.suffix.is_empty()).then(|| match tag.suffix.as_str() {
        "Ref" | "Condition" => tag.suffix.clone(),
        other => format!("Fn::{other}"),
    })
}

fn written_out(function: Option<String>, node: Node) -> Node {
    match (function, node) {
        (None, node) => node,
        // `!GetAtt A.Arn`, also of a nested stack `A.Outputs.B`: the first dot parts them.
        (Some(name), Node::Text(text)) if name == "Fn::GetAtt" => {
            let (resource, attribute) = text.split_once('.').unwrap_or((&text, ""));
            let parts = [resource, attribute].map(|part| Node::Text(part.to_string()));
            Node::Map(vec![(name, Node::List(parts.to_vec()))])
        }
        (Some(name), node) => Node::Map(vec![(name, node)]),
    }
}

fn scalar(text: &str, style: ScalarStyle, tagged: bool) -> Node {
    if style != ScalarStyle::Plain || tagged {
        return Node::Text(text.to_string());
    }
    let numeric = text.starts_with(|c: char| c.is_ascii_digit() || c == '-') && text.parse::<f64>().is_ok();
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Node::Null,
        "true" | "True" | "TRUE" => Node::Bool(true),
        "false" | "False" | "FALSE" => Node::Bool(false),
        _ if numeric => Node::Number(text.to_string()),
        _ => Node::Text(text.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_functions_are_written_out() {
        let node = parse(
            "A: !Sub 'x-${AWS::Region}'\nB: !GetAtt Bucket.Arn\nC: !Ref X\nD: !Join ['', [a, !Ref Y]]\nE: 5\nF: '5'\n",
        )
        .expect("YAML");
        assert_eq!(node.get("A").and_then(|n| n.get("Fn::Sub")).and_then(Node::text), Some("x-${AWS::Region}"));
        let parts = node.get("B").and_then(|n| n.get("Fn::GetAtt")).expect("a function").items();
        assert_eq!(parts.iter().filter_map(Node::text).collect::<Vec<_>>(), ["Bucket", "Arn"]);
        assert_eq!(node.get("C").and_then(|n| n.get("Ref")).and_then(Node::text), Some("X"));
        assert_eq!(node.get("D").and_then(|n| n.get("Fn::Join")).expect("a function").items().len(), 2);
        assert_eq!((node.get("E"), node.get("F")), (Some(&Node::Number("5".into())), Some(&Node::Text("5".into()))));
    }

    #[test]
    fn aliases_that_multiply_are_refused() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_string();
        for n in 1..9 {
            text += &format!("a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 10].join(", "));
        }
        assert!(parse(&text).expect_err("too many").contains("more than"));
        assert!(parse(&"[".repeat(100_000)).is_err());
    }

    #[test]
    fn what_is_wrong_has_its_line() {
        assert!(parse("a: 1\nb: [\n").expect_err("open").starts_with("line "));
        assert_eq!(parse(""), Err("there is nothing in it".to_string()));
    }
}
