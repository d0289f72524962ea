//! Which columns of the table tell a history.

use schemas::column::DataType;
use schemas::table::TableSpec;

use super::text::Text;

/// Names of the columns that a history is told by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Columns {
    pub entity: String,
    pub attribute: String,
    /// When a change took effect.
    pub at: String,
    pub value: String,
    pub operation: Option<String>,
    /// The id that tells an event taken twice.
    pub event: Option<String>,
    pub rule: Option<String>,
    pub evidence: Option<String>,
}

/// What a column has to be for its part.
#[derive(Clone, Copy)]
enum Want {
    Text,
    Id,
    Timestamp,
    Plain,
    Any,
}

impl Want {
    fn fits(self, found: &DataType) -> bool {
        match self {
            Want::Text => *found == DataType::String,
            Want::Id => matches!(found, DataType::String | DataType::Int | DataType::BigInt),
            Want::Timestamp => *found == DataType::Timestamp,
            Want::Plain => found.is_primitive(),
            Want::Any => true,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Want::Text => "a string",
            Want::Id => "a string, int or bigint",
            Want::Timestamp => "a timestamp",
            Want::Plain => "one value",
            Want::Any => "anything",
        }
    }
}

/// `None` only where a problem has been said.
pub(super) fn read(typed: &mut Text<'_>, spec: &TableSpec) -> Option<Columns> {
    let mut reader = Reader { typed, spec };
    let (entity, attribute) =
        (reader.needed("entity", "entity_id", Want::Id), reader.needed("attribute", "attribute_name", Want::Text));
    let (at, value) =
        (reader.needed("at", "created_at", Want::Timestamp), reader.needed("value", "value", Want::Plain));
    Some(Columns {
        operation: reader.optional("operation", "op", Want::Text)?,
        event: reader.optional("event", "event_id", Want::Text)?,
        rule: reader.optional("rule", "rule_id", Want::Plain)?,
        evidence: reader.optional("evidence", "evidence", Want::Any)?,
        entity: entity?,
        attribute: attribute?,
        at: at?,
        value: value?,
    })
}

struct Reader<'r, 't> {
    typed: &'r mut Text<'t>,
    spec: &'r TableSpec,
}

impl Reader<'_, '_> {
    fn needed(&mut self, field: &str, default: &str, want: Want) -> Option<String> {
        let name = self.typed.string("reader", field).unwrap_or_else(|| default.to_string());
        self.checked(field, name, want)
    }

    /// Without a column of the usual name a table has no such part; one that is named has to be there.
    fn optional(&mut self, field: &str, default: &str, want: Want) -> Option<Option<String>> {
        match self.typed.string("reader", field) {
            Some(name) => self.checked(field, name, want).map(Some),
            None => {
                Some(Some(default.to_string()).filter(|name| type_of(self.spec, name).is_some_and(|t| want.fits(&t))))
            }
        }
    }

    fn checked(&mut self, field: &str, name: String, want: Want) -> Option<String> {
        let wrong = match type_of(self.spec, &name) {
            Some(found) if want.fits(&found) => return Some(name),
            Some(found) => format!("which is `{found}`; name a column that is {}", want.words()),
            None => {
                format!("which is no column of table `{}`; write {field} = \"<column>\" under [reader]", self.spec.name)
            }
        };
        self.typed.say("reader", field, format!("`{field}` names `{name}`, {wrong}"));
        None
    }
}

/// The type of a stored or partition column.
fn type_of(spec: &TableSpec, name: &str) -> Option<DataType> {
    let stored = spec.stored_columns().into_iter().find(|column| column.name == name).map(|column| column.data_type);
    stored.or_else(|| spec.partitions.iter().find(|p| p.name == name).map(|p| p.data_type.clone()))
}
