//! Hive partition paths: `name=value/name=value`, names and values escaped as Hive's `FileUtils.escapePathName` does.
//!
//! A value can be anything a record holds: `..`, `/`, NUL. Two things keep it inside the table: `/` and control characters are
//! always escaped, and a value never stands alone in a segment but behind `name=`, so no segment is ever `.` or `..`.

/// Stands for null and the empty string in a path.
pub const HIVE_NULL: &str = "__HIVE_DEFAULT_PARTITION__";

/// Longest escaped segment `name=value`, in bytes: local file systems take no longer name (NAME_MAX of ext4, xfs, APFS), and a
/// table should be able to move between them and S3.
pub const SEGMENT_MAX: usize = 255;

/// Longest escaped path, in bytes. S3 takes keys of 1,024 bytes; a quarter of it is left for the table's prefix and the file name.
pub const PATH_MAX: usize = 768;

/// Appends `text`, escaped: NUL and the other ASCII control characters, DEL and `"#%'*/:=?\{[]^` become `%XX` in upper-case hex.
///
/// Hive's own set but for NUL, which Hive lets pass and no file system takes.
pub fn escape(text: &str, out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for c in text.chars() {
        if is_escaped(c) {
            let code = c as usize;
            out.push('%');
            out.push(char::from(HEX[code >> 4 & 15]));
            out.push(char::from(HEX[code & 15]));
        } else {
            out.push(c);
        }
    }
}

/// Does a path hold this character only in escaped form?
pub fn is_escaped(c: char) -> bool {
    matches!(
        c,
        '\0'..='\u{1f}'
            | '\u{7f}'
            | '"'
            | '#'
            | '%'
            | '\''
            | '*'
            | '/'
            | ':'
            | '='
            | '?'
            | '\\'
            | '{'
            | '['
            | ']'
            | '^'
    )
}

/// Undoes [`escape`], as Hive's `unescapePathName`: `%XX` in either case of hex is the character U+00XX, any other `%` is itself.
pub fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        match hex_pair(rest.as_bytes()) {
            Some(code) => {
                out.push(char::from(code));
                rest = &rest[2..];
            }
            None => out.push('%'),
        }
    }
    out.push_str(rest);
    out
}

fn hex_pair(bytes: &[u8]) -> Option<u8> {
    let digit = |b: &u8| char::from(*b).to_digit(16).map(|d| d as u8);
    Some(digit(bytes.first()?)? << 4 | digit(bytes.get(1)?)?)
}

/// The path of a partition: no slash at either end, the empty value as [`HIVE_NULL`].
///
/// Its length is the caller's to check, see [`fits`]. Columns without a value (and values without a column) are left out.
pub fn partition_path<C: AsRef<str>, V: AsRef<str>>(columns: &[C], values: &[V]) -> String {
    let mut path = String::new();
    for (column, value) in columns.iter().zip(values) {
        if !path.is_empty() {
            path.push('/');
        }
        escape(column.as_ref(), &mut path);
        path.push('=');
        match value.as_ref() {
            "" => path.push_str(HIVE_NULL),
            value => escape(value, &mut path),
        }
    }
    path
}

/// The columns and values of a partition path (no file name behind it); `None` if it is none.
///
/// [`HIVE_NULL`] comes back as itself.
pub fn parse_partition_path(path: &str) -> Option<Vec<(String, String)>> {
    path.split('/')
        .map(|segment| {
            let (column, value) = segment.split_once('=')?;
            let named = !column.is_empty() && !value.is_empty();
            named.then(|| (unescape(column), unescape(value)))
        })
        .collect()
}

/// Can this escaped path (or one segment of it) be stored: each segment at most [`SEGMENT_MAX`] bytes, all of it at most
/// [`PATH_MAX`]?
pub fn fits(path: &str) -> bool {
    path.len() <= PATH_MAX && path.split('/').all(|segment| segment.len() <= SEGMENT_MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn escaped(text: &str) -> String {
        let mut out = String::new();
        escape(text, &mut out);
        out
    }

    #[test]
    fn hives_set_is_escaped_and_nothing_else() {
        let set: String = (0u8..=127).map(char::from).filter(|c| is_escaped(*c)).filter(|c| !c.is_control()).collect();
        assert_eq!(set, "\"#%'*/:=?[\\]^{");
        assert_eq!(escaped("a b,c;d}|~<>&+$@!`-._()"), "a b,c;d}|~<>&+$@!`-._()");
        assert_eq!(escaped("a/b:c%d=é😀\n\u{7f}\0"), "a%2Fb%3Ac%25d%3Dé😀%0A%7F%00");
    }

    #[test]
    fn unescape_leaves_what_is_no_escape() {
        assert_eq!(unescape("100%"), "100%");
        assert_eq!(unescape("%2f%2F%zz%+1%é%2"), "//%zz%+1%é%2");
        assert_eq!(unescape("%252F"), "%2F");
    }

    #[test]
    fn hostile_values_stay_one_segment_below_the_table() {
        for value in ["..", ".", "../..", "/etc/passwd", "a=b", "%2F", "\0", "\n", "😀", "..%2F.."] {
            let path = partition_path(&["k"], &[value]);
            assert_eq!(path.split('/').count(), 1, "{value:?}");
            assert!(path.starts_with("k=") && path != "." && path != "..");
            assert_eq!(parse_partition_path(&path), Some(vec![("k".to_string(), value.to_string())]));
        }
    }

    #[test]
    fn the_empty_value_is_hives_null() {
        assert_eq!(partition_path(&["a", "b"], &["", "x"]), "a=__HIVE_DEFAULT_PARTITION__/b=x");
    }

    #[test]
    fn what_is_no_partition_path_is_refused() {
        for path in ["", "a", "a=1/", "/a=1", "a=1//b=2", "=1", "a=", "a=1/part-0.parquet"] {
            assert_eq!(parse_partition_path(path), None, "{path}");
        }
    }

    #[test]
    fn a_segment_of_255_bytes_fits_and_one_more_does_not() {
        assert!(fits(&partition_path(&["k"], &["x".repeat(253)])));
        assert!(!fits(&partition_path(&["k"], &["x".repeat(254)])));
        assert!(!fits(&partition_path(&["k"], &["/".repeat(85)])));
        assert!(!fits(&partition_path(
            &["a", "b", "c", "d"],
            &["x".repeat(200), "x".repeat(200), "x".repeat(200), "x".repeat(200)]
        )));
    }

    proptest! {
        #[test]
        fn escaping_comes_back_and_leaves_no_slash_or_control(text in any::<String>()) {
            let path = escaped(&text);
            prop_assert!(!path.contains('/') && !path.chars().any(|c| c.is_ascii_control()));
            prop_assert_eq!(unescape(&path), text);
        }

        #[test]
        fn a_partition_path_comes_back(values in proptest::collection::vec(".{1,20}", 1..4)) {
            let columns = ["created_date", "attribute_name", "entity_id_mod"];
            let path = partition_path(&columns[..values.len()], &values);
            let want: Vec<_> = columns.iter().zip(&values).map(|(c, v)| (c.to_string(), v.clone())).collect();
            prop_assert_eq!(parse_partition_path(&path), Some(want));
        }
    }
}
