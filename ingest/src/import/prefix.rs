//! Firehose's prefix language: text, and expressions `!{namespace:value}` in it.

/// Longest template, as the API has it.
const TEMPLATE_MAX: usize = 1024;

/// Letters that no java.time pattern of a prefix may hold.
const NO_LETTERS: &str = "CIJPRTUVbfijloprt";

/// A piece of a prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    Text(String),
    /// `!{timestamp:pattern}`: when the oldest record of the object arrived.
    Timestamp(String),
    /// `!{firehose:random-string}`.
    Random,
    /// `!{firehose:error-output-type}`.
    ErrorType,
    /// `!{partitionKeyFromQuery:name}`.
    Query(String),
    /// `!{partitionKeyFromLambda:name}`.
    Lambda(String),
}

/// Reads a prefix; an error is what the service itself would say of it, or why it cannot be read.
pub fn parse(template: &str) -> Result<Vec<Piece>, String> {
    if template.len() > TEMPLATE_MAX {
        return Err(format!("has {} bytes: at most {TEMPLATE_MAX} are allowed", template.len()));
    }
    let mut pieces = Vec::new();
    let mut rest = template;
    while let Some(at) = rest.find("!{") {
        if at > 0 {
            pieces.push(Piece::Text(rest[..at].to_string()));
        }
        let Some((expression, behind)) = rest[at + 2..].split_once('}') else {
            return Err(format!("has `{}` without its closing brace", &rest[at..]));
        };
        pieces.push(expression_of(expression)?);
        rest = behind;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.to_string()));
    }
    Ok(pieces)
}

fn expression_of(expression: &str) -> Result<Piece, String> {
    let Some((namespace, value)) = expression.split_once(':') else {
        return Err(format!("has `!{{{expression}}}`, which names no namespace: `!{{namespace:value}}`"));
    };
    let named = |piece: fn(String) -> Piece| match value {
        "" => Err(format!("has `!{{{expression}}}`, which names no key")),
        name => Ok(piece(name.to_string())),
    };
    match (namespace, value) {
        ("timestamp", "") => Err("has `!{timestamp:}`, which has no pattern".into()),
        ("timestamp", pattern) => match letters(pattern).find(|c| NO_LETTERS.contains(*c)) {
            Some(c) => Err(format!("has the pattern `{pattern}`, whose `{c}` is no letter of a date")),
            None => Ok(Piece::Timestamp(pattern.to_string())),
        },
        ("firehose", "random-string") => Ok(Piece::Random),
        ("firehose", "error-output-type") => Ok(Piece::ErrorType),
        ("firehose", other) => {
            Err(format!("has `!{{firehose:{other}}}`, which is neither random-string nor error-output-type"))
        }
        ("partitionKeyFromQuery", _) => named(Piece::Query),
        ("partitionKeyFromLambda", _) => named(Piece::Lambda),
        (other, _) => Err(format!("has the namespace `{other}`, which is an invalid keyword to Firehose")),
    }
}

/// Letters of a pattern that stand outside quotes.
fn letters(pattern: &str) -> impl Iterator<Item = char> + '_ {
    pattern.split('\'').step_by(2).flat_map(str::chars).filter(char::is_ascii_alphabetic)
}

/// The text before the first expression, up to its last slash: a folder.
pub fn lead(pieces: &[Piece]) -> &str {
    match pieces {
        [Piece::Text(text)] => text,
        [Piece::Text(text), ..] => &text[..text.rfind('/').map_or(0, |at| at + 1)],
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_namespaces_are_read() {
        let template = "a/k=!{partitionKeyFromQuery:k}/!{partitionKeyFromLambda:l}/!{timestamp:yyyy'-'MM}/!{firehose:random-string}/x";
        let pieces = parse(template).expect("a prefix");
        assert_eq!(
            pieces,
            [
                Piece::Text("a/k=".into()),
                Piece::Query("k".into()),
                Piece::Text("/".into()),
                Piece::Lambda("l".into()),
                Piece::Text("/".into()),
                Piece::Timestamp("yyyy'-'MM".into()),
                Piece::Text("/".into()),
                Piece::Random,
                Piece::Text("/x".into()),
            ]
        );
        assert_eq!(lead(&pieces), "a/");
        assert_eq!(parse("errors/!{firehose:error-output-type}").expect("a prefix")[1], Piece::ErrorType);
        assert_eq!(lead(&parse("errors").expect("a prefix")), "errors");
        assert_eq!(parse(""), Ok(Vec::new()));
    }

    #[test]
    fn what_the_service_refuses_is_refused() {
        for (template, says) in [
            ("!{timestamp}", "no namespace"),
            ("!{time:yyyy}", "invalid keyword"),
            ("!{firehose:x}", "neither"),
            ("!{partitionKeyFromQuery:}", "names no key"),
            ("!{timestamp:yyyy/TT}", "no letter of a date"),
            ("a/!{timestamp:yyyy", "closing brace"),
            (&"x".repeat(1025), "at most 1024"),
        ] {
            let why = parse(template).expect_err(template);
            assert!(why.contains(says), "{template}: {why}");
        }
        assert!(parse("!{timestamp:yyyy'T'MM}").is_ok());
    }
}
