//! Positions as text, and their order.

use std::cmp::Ordering;

use schemas::position::{Position, Span};

use super::input::text;

pub fn run(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let positions: Vec<Position> = text.lines().take(4).filter_map(|line| line.parse().ok()).collect();
    for position in &positions {
        comes_back(position);
        for other in &positions {
            assert_eq!(position.cmp(other), order(position, other), "{position} {other}");
            assert_eq!(position == other, position.cmp(other) == Ordering::Equal);
            let span = Span::new(position.clone(), other.clone());
            assert_eq!(span.is_empty(), other <= position);
            assert_eq!(span.contains(other), !span.is_empty());
            assert!(!span.contains(position));
        }
    }
}

fn comes_back(position: &Position) {
    let text = position.to_string();
    assert_eq!(text.parse().as_ref(), Ok(position), "{text}");
    let json = serde_json::to_string(position).expect("serialises");
    assert_eq!(&serde_json::from_str::<Position>(&json).expect("comes back"), position);
    assert_eq!(position.is_zero(), *position == Position::zero());
    let record = position.record();
    assert!(*position <= record && position.with_document(1) < record && record.document() == 0);
    assert!(*position > Position::zero() || position.is_zero() || position.document() > 0);
}

/// The order once more: by digits without leading zeros, sub-sequence, document with the whole record last.
fn order(a: &Position, b: &Position) -> Ordering {
    let key = |position: &Position| {
        let digits = position.sequence().trim_start_matches('0').to_string();
        let document = position.document().checked_sub(1).unwrap_or(u32::MAX);
        (digits.len(), digits, position.sub(), document)
    };
    key(a).cmp(&key(b))
}
