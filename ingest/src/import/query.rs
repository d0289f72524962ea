//! A `MetadataExtractionQuery` taken apart: one jq object, `{name: program, ...}`, whose values may hold bare pipes, perhaps
//! behind a program that makes the object's input. Each member becomes the program of a key.

/// Members of one query at most, as the service has it.
const KEYS_MAX: usize = 50;
/// Deepest nesting of brackets.
const DEPTH_MAX: usize = 100;

/// A query's keys, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    pub keys: Vec<(String, String)>,
    /// What was read as something else than jq 1.6 reads it.
    pub repairs: Vec<String>,
}

/// Takes a query apart. An error says what is wrong with it.
pub fn parse(text: &str) -> Result<Query, String> {
    let mut repairs = Vec::new();
    let mut text = text.trim();
    // As it stands in a shell's command line.
    if let Some(inner) = text.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\''))
        && inner.trim_start().starts_with(['{', '('])
    {
        text = inner.trim();
        repairs.push("the single quotes around the query are a shell's, and no part of it".to_string());
    }
    let double = doubled(text)?;
    if double != text {
        repairs.push(
            "jq 1.6 knows no strings in single quotes, so that Firehose fails every record: they were read as in \
             double quotes"
                .to_string(),
        );
    }
    let (input, object) = object_of(&double)?;
    let mut query = Query { keys: Vec::new(), repairs };
    for member in split(object, ',')? {
        let (name, program) = member_of(member)?;
        let program = if input.is_empty() { program } else { format!("{input} | {program}") };
        // As in an object: the last one counts, where the first one stood.
        match query.keys.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = program,
            None => query.keys.push((name, program)),
        }
    }
    if query.keys.len() > KEYS_MAX {
        return Err(format!("has {} keys: at most {KEYS_MAX} are allowed", query.keys.len()));
    }
    Ok(query)
}

/// What stands before the object, without the pipe between them, and what stands within its braces.
fn object_of(text: &str) -> Result<(&str, &str), String> {
    let parts = split(text, '|')?;
    let last = parts.last().copied().unwrap_or_default().trim();
    let inner = last.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    let inner = inner.filter(|inner| split(inner, ',').is_ok());
    let inner = inner.ok_or_else(|| {
        let shown: String = text.chars().take(60).collect();
        format!("is no object `{{name: program, ...}}` of keys: `{shown}`")
    })?;
    if inner.trim().is_empty() {
        return Err("is an object without a key".into());
    }
    let begin = inner.as_ptr() as usize - text.as_ptr() as usize - 1;
    Ok((text[..begin].trim_end().trim_end_matches('|').trim(), inner))
}

fn member_of(member: &str) -> Result<(String, String), String> {
    let member = member.trim();
    if member.is_empty() {
        return Err("has a comma with nothing before or behind it".into());
    }
    let (name, program) = match split(member, ':')?.as_slice() {
        [alone] => (*alone, None),
        [name, ..] => (*name, Some(member[name.len() + 1..].trim())),
        [] => return Err("has an empty member".into()),
    };
    let name = match name.trim() {
        quoted if quoted.starts_with('"') => {
            serde_json::from_str(quoted).map_err(|_| format!("has the name {quoted}, which is no plain text"))?
        }
        plain if !plain.is_empty() && plain.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') => {
            plain.to_string()
        }
        other => return Err(format!("has the name `{other}`, which is worked out: write a plain one")),
    };
    match program {
        Some("") => Err(format!("has no program for `{name}`")),
        Some(program) => Ok((name, within_parentheses(program).to_string())),
        None => {
            let program = format!(".{}", serde_json::Value::from(name.as_str()));
            Ok((name, program))
        }
    }
}

/// A program without parentheses that stand around all of it.
fn within_parentheses(program: &str) -> &str {
    let Some(inner) = program.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) else { return program };
    // `(a) + (b)` begins and ends with them, too.
    if split(inner, '\0').is_ok() { within_parentheses(inner.trim()) } else { program }
}

/// Parts of a text between separators that stand outside brackets and strings. Brackets have to match.
fn split(text: &str, separator: char) -> Result<Vec<&str>, String> {
    let mut parts = Vec::new();
    let mut open: Vec<char> = Vec::new();
    let (mut from, mut at) = (0, 0);
    while let Some(c) = text[at..].chars().next() {
        match c {
            '"' => {
                at = string_end(text, at)?;
                continue;
            }
            '#' => {
                at = text[at..].find('\n').map_or(text.len(), |n| at + n);
                continue;
            }
            '(' | '[' | '{' if open.len() >= DEPTH_MAX => {
                return Err(format!("nests deeper than {DEPTH_MAX} brackets"));
            }
            '(' => open.push(')'),
            '[' => open.push(']'),
            '{' => open.push('}'),
            ')' | ']' | '}' if open.pop() != Some(c) => return Err(format!("has a `{c}` without its opening bracket")),
            _ if c == separator && open.is_empty() && !doubles(text, at, c) => {
                parts.push(&text[from..at]);
                from = at + c.len_utf8();
            }
            _ => {}
        }
        at += c.len_utf8();
    }
    if let Some(missing) = open.pop() {
        return Err(format!("lacks a `{missing}`"));
    }
    parts.push(&text[from..]);
    Ok(parts)
}

/// Is a bar at this place part of `|=`, or a colon of `::`?
fn doubles(text: &str, at: usize, c: char) -> bool {
    match c {
        '|' => text[at + 1..].starts_with('='),
        ':' => text[at + 1..].starts_with(':') || text[..at].ends_with(':'),
        _ => false,
    }
}

/// Behind the string that begins at `at`; `\(...)` in it is a program, with strings of its own.
fn string_end(text: &str, at: usize) -> Result<usize, String> {
    let bytes = text.as_bytes();
    let mut next = at + 1;
    // Of each program within a string that is open: how many parentheses are.
    let mut programs: Vec<usize> = Vec::new();
    // Whether what stands at `next` is text, innermost last.
    let mut in_text = vec![true];
    while let Some(byte) = bytes.get(next) {
        let text_here = *in_text.last().unwrap_or(&true);
        match byte {
            b'\\' if text_here && bytes.get(next + 1) == Some(&b'(') => {
                if programs.len() >= DEPTH_MAX {
                    return Err(format!("nests deeper than {DEPTH_MAX} strings"));
                }
                programs.push(1);
                in_text.push(false);
                next += 1;
            }
            b'\\' if text_here => next += 1,
            b'"' if text_here => {
                in_text.pop();
                if in_text.is_empty() {
                    return Ok(next + 1);
                }
            }
            b'"' => in_text.push(true),
            b'(' if !text_here => *programs.last_mut().unwrap_or(&mut 0) += 1,
            b')' if !text_here => {
                if let Some(open) = programs.last_mut() {
                    *open -= 1;
                    if *open == 0 {
                        programs.pop();
                        in_text.pop();
                    }
                }
            }
            _ => {}
        }
        next += 1;
    }
    Err("has a string without its closing quote".into())
}

/// The text with `'...'` outside other strings as `"..."`.
fn doubled(text: &str) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        match c {
            '"' => {
                let end = string_end(text, at)?;
                out.push_str(&text[at..end]);
                at = end;
            }
            '\'' => {
                let Some(inner) = text[at + 1..].find('\'').map(|n| &text[at + 1..at + 1 + n]) else {
                    return Err("has a single quote without its other one".into());
                };
                out.push_str(&serde_json::Value::from(inner).to_string());
                at += inner.len() + 2;
            }
            c => {
                out.push(c);
                at += c.len_utf8();
            }
        }
    }
    Ok(out)
}

/// `now | strftime("%Y/%m")` as a java.time pattern: a key cannot read the clock, but the record's arrival tells the same.
pub fn arrival_pattern(program: &str) -> Option<String> {
    let (left, right) = program.split_once('|')?;
    let format = right.trim().strip_prefix("strftime(")?.strip_suffix(')')?.trim();
    let format: String = serde_json::from_str(format).ok()?;
    (left.trim() == "now").then_some(())?;
    let mut pattern = String::new();
    let mut rest = format.as_str();
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '%' => {
                let directive = rest.chars().next()?;
                rest = &rest[directive.len_utf8()..];
                pattern.push_str(match directive {
                    'Y' => "yyyy",
                    'y' => "yy",
                    'm' => "MM",
                    'd' => "dd",
                    'H' => "HH",
                    'M' => "mm",
                    'S' => "ss",
                    'j' => "DDD",
                    'F' => "yyyy-MM-dd",
                    _ => return None,
                });
            }
            '\'' => pattern.push_str("''"),
            c if c.is_ascii_alphabetic() => pattern.push_str(&format!("'{c}'")),
            c => pattern.push(c),
        }
    }
    Some(pattern)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn keys(text: &str) -> Vec<(String, String)> {
        parse(text).unwrap_or_else(|e| panic!("{text}: {e}")).keys
    }

    fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected.iter().map(|(name, program)| (name.to_string(), program.to_string())).collect()
    }

    #[test]
    fn members_become_programs() {
        assert_eq!(keys(r#"{a:.a, "b c":(.b|.c) , d}"#), pairs(&[("a", ".a"), ("b c", ".b|.c"), ("d", ".\"d\"")]));
        assert_eq!(
            keys(r#"{YYYY : (.ts/1000) | strftime("%Y"), k: (.a) + (.b)}"#),
            pairs(&[("YYYY", r#"(.ts/1000) | strftime("%Y")"#), ("k", "(.a) + (.b)")])
        );
        assert_eq!(
            keys(r#"{a: .t | sub("(?<x>.*)\\..*Z"; "\(.x + "}")Z"), b: (if .a == "," then {c: 1} else [1,2] end)}"#)[1]
                .1,
            r#"if .a == "," then {c: 1} else [1,2] end"#
        );
    }

    #[test]
    fn what_stands_before_the_object_stands_before_each_key() {
        assert_eq!(
            keys("(.payload // .) | {a: .x, b: .y|.z}"),
            pairs(&[("a", "(.payload // .) | .x"), ("b", "(.payload // .) | .y|.z")])
        );
    }

    #[test]
    fn single_quotes_are_read_and_said() {
        let query = parse("'{a:.a}'").expect("a query");
        assert_eq!((query.keys, query.repairs.len()), (pairs(&[("a", ".a")]), 1));
        let query = parse("{s: 'txma', t: \"it's\"}").expect("a query");
        assert_eq!((query.keys, query.repairs.len()), (pairs(&[("s", "\"txma\""), ("t", "\"it's\"")]), 1));
    }

    #[test]
    fn what_is_no_query_is_refused() {
        for (text, says) in [
            (".tenant", "no object"),
            ("{}", "without a key"),
            ("{a:}", "no program"),
            ("{a:.a,}", "comma"),
            ("{(.n):1}", "worked out"),
            ("{a:.a", "lacks a `}`"),
            ("{a:.a]}", "without its opening"),
            ("{a:\"x}", "closing quote"),
            ("{a:'x}", "single quote"),
            ("", "no object"),
        ] {
            let why = parse(text).expect_err(text);
            assert!(why.contains(says), "{text}: {why}");
        }
    }

    #[test]
    fn the_clock_becomes_the_arrival() {
        assert_eq!(arrival_pattern(r#"now|strftime("%Y/%m")"#).as_deref(), Some("yyyy/MM"));
        assert_eq!(arrival_pattern(r#"now | strftime("d=%d")"#).as_deref(), Some("'d'=dd"));
        assert_eq!(arrival_pattern(r#".t | strftime("%Y")"#), None);
        assert_eq!(arrival_pattern(r#"now | strftime("%s")"#), None);
    }

    proptest! {
        #[test]
        fn any_text_is_a_query_or_an_error(text in "[{}()\\[\\]a-c:,|.\"'\\\\ #\n]{0,40}") {
            if let Ok(query) = parse(&text) {
                prop_assert!(!query.keys.is_empty());
            }
        }
    }
}
