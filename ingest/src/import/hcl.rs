//! Terraform's expressions, worked out as far as one file tells: variables with defaults, locals, and what other resources of the
//! file are called. The one doorway to hcl-edit.

use std::cell::Cell;

use hcl_edit::expr::{BinaryOperator, Expression, ObjectKey, Traversal, TraversalOperator, UnaryOperator};
use hcl_edit::structure::{Block, Body};
use hcl_edit::template::{Element, Template};

use super::cloudformation::Variables;
use super::node::{DEPTH_MAX, Members, NODES_MAX, Node};

/// Longest text that is put together.
const TEXT_MAX: usize = 64 * 1024;

/// A file of Terraform, and what somebody gives for what it leaves open.
pub(super) struct File<'v> {
    body: Body,
    variables: &'v Variables,
    /// Expressions that may still be worked out: locals can refer to themselves, several times over.
    left: Cell<usize>,
}

impl<'v> File<'v> {
    pub(super) fn parse(text: &str, variables: &'v Variables) -> Result<File<'v>, String> {
        let body: Body = text.parse().map_err(|e: hcl_edit::parser::Error| {
            let line = e.location().line();
            format!("line {line}: not Terraform: {}", e.message().replace('\n', ", "))
        })?;
        Ok(File { body, variables, left: Cell::new(NODES_MAX) })
    }

    /// The settings of each `resource "kind" "name"`, with its name.
    pub(super) fn described(&self, kind: &str, repeats: &dyn Fn(&str) -> bool) -> Vec<(String, Node)> {
        let described =
            self.resources(kind).map(|(name, block)| (name.to_string(), self.settings(&block.body, repeats, 0)));
        described.collect()
    }

    fn resources<'b>(&'b self, kind: &'b str) -> impl Iterator<Item = (&'b str, &'b Block)> {
        self.body.blocks().filter_map(move |block| match block.labels.as_slice() {
            [found, name] if block.ident.as_str() == "resource" && found.as_str() == kind => {
                Some((name.as_str(), block))
            }
            _ => None,
        })
    }

    /// A body as settings: attributes worked out, blocks as maps, blocks of one name as a list if `repeats` says so.
    fn settings(&self, body: &Body, repeats: &dyn Fn(&str) -> bool, depth: usize) -> Node {
        let mut members: Members = Vec::new();
        for attribute in body.attributes() {
            members.push((attribute.key.as_str().to_string(), self.value(&attribute.value, depth + 1)));
        }
        for block in body.blocks().filter(|_| depth < DEPTH_MAX) {
            let dynamic = block.labels.first().filter(|_| block.ident.as_str() == "dynamic");
            let (name, node) = match dynamic {
                Some(label) => (label.as_str(), Node::Unknown(format!("dynamic {}", label.as_str()))),
                None => (block.ident.as_str(), self.settings(&block.body, repeats, depth + 1)),
            };
            match members.iter_mut().find(|(known, _)| known == name) {
                Some((_, Node::List(items))) if repeats(name) => items.push(node),
                _ if repeats(name) => members.push((name.to_string(), Node::List(vec![node]))),
                _ => members.push((name.to_string(), node)),
            }
        }
        Node::Map(members)
    }

    fn spend(&self, depth: usize) -> bool {
        let left = self.left.get();
        self.left.set(left.saturating_sub(1));
        left > 0 && depth <= DEPTH_MAX
    }

    fn value(&self, expression: &Expression, depth: usize) -> Node {
        if !self.spend(depth) {
            return Node::Unknown("something that refers to itself, or is too large".into());
        }
        let next = depth + 1;
        let written = || Node::Unknown(expression.to_string().trim().to_string());
        match expression {
            Expression::Null(_) => Node::Null,
            Expression::Bool(flag) => Node::Bool(*flag.value()),
            Expression::Number(number) => Node::Number(number.value().to_string()),
            Expression::String(text) => Node::Text(text.value().clone()),
            Expression::StringTemplate(template) => self.elements(template.iter(), next),
            Expression::HeredocTemplate(heredoc) => {
                let mut heredoc = heredoc.clone();
                heredoc.dedent();
                self.template(&heredoc.template, next)
            }
            Expression::Array(items) => Node::List(items.iter().map(|item| self.value(item, next)).collect()),
            Expression::Object(object) => {
                let member = |(key, value): (&ObjectKey, &hcl_edit::expr::ObjectValue)| {
                    let name = match key {
                        ObjectKey::Ident(name) => Some(name.as_str().to_string()),
                        ObjectKey::Expression(expression) => self.value(expression, next).text().map(str::to_string),
                    };
                    Some((name?, self.value(value.expr(), next)))
                };
                Node::Map(object.iter().filter_map(member).collect())
            }
            Expression::Parenthesis(inner) => self.value(inner.inner(), next),
            Expression::Conditional(choice) => match self.value(&choice.cond_expr, next) {
                Node::Bool(true) => self.value(&choice.true_expr, next),
                Node::Bool(false) => self.value(&choice.false_expr, next),
                _ => written(),
            },
            Expression::UnaryOp(op) => match (op.operator.value(), self.value(&op.expr, next)) {
                (UnaryOperator::Not, Node::Bool(flag)) => Node::Bool(!flag),
                (UnaryOperator::Neg, Node::Number(number)) => Node::Number(format!("-{number}")),
                _ => written(),
            },
            Expression::BinaryOp(op) => {
                let (left, right) = (self.value(&op.lhs_expr, next), self.value(&op.rhs_expr, next));
                compared(op.operator.value(), &left, &right).unwrap_or_else(written)
            }
            Expression::FuncCall(call) => {
                let args: Vec<Node> = call.args.iter().map(|arg| self.value(arg, next)).collect();
                called(call.name.name.as_str(), &args).unwrap_or_else(written)
            }
            Expression::Traversal(traversal) => self.reference(traversal, next).unwrap_or_else(written),
            Expression::Variable(_) | Expression::ForExpr(_) => written(),
        }
    }

    fn template(&self, template: &Template, depth: usize) -> Node {
        self.elements(template.iter(), depth)
    }

    fn elements<'e>(&self, elements: impl Iterator<Item = &'e Element>, depth: usize) -> Node {
        let mut out = String::new();
        for element in elements {
            let value = match element {
                Element::Literal(text) => Node::Text(text.value().clone()),
                Element::Interpolation(interpolation) => self.value(&interpolation.expr, depth),
                Element::Directive(_) => Node::Unknown("%{...}".into()),
            };
            match value.text() {
                Some(text) if out.len() + text.len() <= TEXT_MAX => out.push_str(text),
                Some(_) => return Node::Unknown("a text that is too long".into()),
                None => return value,
            }
        }
        Node::Text(out)
    }

    /// `var.x`, `local.x`, `aws_s3_bucket.x.arn`; and what somebody has given for it, before all else.
    fn reference(&self, traversal: &Traversal, depth: usize) -> Option<Node> {
        let Expression::Variable(root) = &traversal.expr else { return None };
        let mut path = vec![root.as_str().to_string()];
        for operator in &traversal.operators {
            match operator.value() {
                TraversalOperator::GetAttr(name) => path.push(name.as_str().to_string()),
                // `aws_s3_bucket.x[0].arn`: of several made alike, the file names them alike.
                TraversalOperator::Index(_) | TraversalOperator::LegacyIndex(_) => {}
                TraversalOperator::AttrSplat(_) | TraversalOperator::FullSplat(_) => return None,
            }
        }
        if let Some(value) = self.variables.get(&path.join(".")) {
            return Some(Node::Text(value.clone()));
        }
        let parts: Vec<&str> = path.iter().map(String::as_str).collect();
        match parts.as_slice() {
            ["var", name, inner @ ..] => self.within(self.variable(name, depth)?, inner),
            ["local", name, inner @ ..] => self.within(self.local(name, depth)?, inner),
            [kind, name, attribute, ..] => self.attribute(kind, name, attribute, depth),
            _ => None,
        }
    }

    fn within(&self, node: Node, path: &[&str]) -> Option<Node> {
        path.iter().try_fold(node, |node, name| node.get(name).cloned())
    }

    fn variable(&self, name: &str, depth: usize) -> Option<Node> {
        let of = |block: &&Block| {
            block.ident.as_str() == "variable" && block.labels.first().is_some_and(|label| label.as_str() == name)
        };
        let default = self.body.blocks().find(of)?.body.get_attribute("default")?;
        Some(self.value(&default.value, depth)).filter(|node| *node != Node::Null)
    }

    fn local(&self, name: &str, depth: usize) -> Option<Node> {
        let mut locals = self.body.blocks().filter(|block| block.ident.as_str() == "locals");
        let attribute = locals.find_map(|block| block.body.get_attribute(name))?;
        Some(self.value(&attribute.value, depth))
    }

    /// What a resource of the file says of itself, or what follows from its name.
    fn attribute(&self, kind: &str, name: &str, attribute: &str, depth: usize) -> Option<Node> {
        let (_, block) = self.resources(kind).find(|(found, _)| *found == name)?;
        let of = |attribute: &str| block.body.get_attribute(attribute).map(|found| self.value(&found.value, depth));
        if let Some(value) = of(attribute) {
            return Some(value);
        }
        let text = |attribute: &str| of(attribute)?.text().map(str::to_string);
        let value = match (kind, attribute) {
            ("aws_s3_bucket", "arn") => format!("arn:aws:s3:::{}", text("bucket")?),
            ("aws_s3_bucket", "id") => text("bucket")?,
            ("aws_kinesis_stream", "arn" | "id") => format!("arn:aws:kinesis:::stream/{}", text("name")?),
            ("aws_glue_catalog_database" | "aws_glue_catalog_table", "id") => text("name")?,
            _ => return None,
        };
        Some(Node::Text(value))
    }
}

fn compared(operator: &BinaryOperator, left: &Node, right: &Node) -> Option<Node> {
    let known = |node: &Node| !matches!(node, Node::Unknown(_) | Node::List(_) | Node::Map(_));
    Some(Node::Bool(match (operator, left, right) {
        (BinaryOperator::And, Node::Bool(a), Node::Bool(b)) => *a && *b,
        (BinaryOperator::Or, Node::Bool(a), Node::Bool(b)) => *a || *b,
        (BinaryOperator::Eq, a, b) if known(a) && known(b) => a == b,
        (BinaryOperator::NotEq, a, b) if known(a) && known(b) => a != b,
        _ => return None,
    }))
}

/// Terraform's functions of texts that descriptions use.
fn called(name: &str, args: &[Node]) -> Option<Node> {
    let text = |at: usize| args.get(at).and_then(Node::text);
    let texts =
        |node: &Node| node.items().iter().map(|item| item.text().map(str::to_string)).collect::<Option<Vec<_>>>();
    let result = match (name, args.len()) {
        ("lower", 1) => text(0)?.to_lowercase(),
        ("upper", 1) => text(0)?.to_uppercase(),
        ("trimspace", 1) => text(0)?.trim().to_string(),
        ("tostring", 1) => text(0)?.to_string(),
        ("replace", 3) if !text(1)?.starts_with('/') => text(0)?.replace(text(1)?, text(2)?),
        ("join", 2) => texts(&args[1])?.join(text(0)?),
        ("coalesce", _) => return args.iter().find(|node| **node != Node::Null).cloned(),
        ("base64encode", 1) => {
            use base64::Engine;
            base64::engine::general_purpose::STANDARD.encode(text(0)?)
        }
        ("format", 1..) => formatted(text(0)?, &args[1..])?,
        _ => return None,
    };
    (result.len() <= TEXT_MAX).then_some(Node::Text(result))
}

/// `%s`, `%d` and `%%`.
fn formatted(format: &str, args: &[Node]) -> Option<String> {
    let mut args = args.iter();
    let mut out = String::new();
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        match rest[at + 1..].chars().next()? {
            '%' => out.push('%'),
            's' | 'd' | 'v' => out.push_str(args.next()?.text()?),
            _ => return None,
        }
        rest = &rest[at + 2..];
    }
    out.push_str(rest);
    Some(out)
}
