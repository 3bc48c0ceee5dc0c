//! The records of a `.wandb` file, by the field numbers of W&B's `wandb_internal.proto`.

use super::protobuf::{Fields, Message, Value as Field};
use serde_json::Value;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What a `.wandb` file says about the run.
#[derive(Debug, Clone)]
pub struct Run {
    /// Its id, stable over resumes.
    pub id: String,
    /// Project.
    pub project: String,
    /// User or team; none: the key's own.
    pub entity: Option<String>,
    /// Shown name.
    pub name: String,
    /// Group.
    pub group: Option<String>,
    /// Tags.
    pub tags: Vec<String>,
    /// Configuration: a JSON object.
    pub config: Value,
    /// This machine.
    pub host: String,
}

/// Names and values as JSON; a name with several parts is an entry of an object.
pub(super) type Items = Vec<(Vec<String>, Value)>;

/// One record.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Record {
    /// One row of the history: the numbers of one step.
    History {
        step: u64,
        items: Items,
    },
    /// New values of the summary.
    Summary(Items),
    /// A line of the console.
    Output {
        time: SystemTime,
        is_warning: bool,
        line: String,
    },
    /// What the machine does.
    Stats {
        time: SystemTime,
        items: Items,
    },
    /// New values of the configuration.
    Config(Items),
    /// When the run began.
    Began(SystemTime),
    Exit {
        code: i32,
        runtime_seconds: u64,
    },
    /// Of another kind.
    Other,
}

// Fields of Record.
const NUM: u64 = 1;
const HISTORY: u64 = 2;
const SUMMARY: u64 = 3;
const CONFIG: u64 = 5;
const STATS: u64 = 7;
const OUTPUT_RAW: u64 = 13;
const RUN: u64 = 17;
const EXIT: u64 = 18;
const HEADER: u64 = 21;
// Fields of HistoryItem, SummaryItem, ConfigItem and StatsItem.
const NESTED_KEY: u64 = 2;
const VALUE_JSON: u64 = 16;

/// A record's own field, without its number in the file.
#[derive(Debug, Clone)]
pub(super) struct Body(u64, Message);

impl Body {
    /// The record, as the `number`th of its file.
    pub(super) fn numbered(&self, number: i64) -> Vec<u8> {
        let message = Message::default().int(NUM, number).message(self.0, &self.1);
        message.into_bytes()
    }

    /// Who writes the file.
    pub(super) fn header() -> Self {
        let version = Message::default()
            .text(1, concat!("llama-train ", env!("CARGO_PKG_VERSION")))
            .text(2, "0.70.0"); // the oldest client that reads it, as the official one writes
        Self(HEADER, Message::default().message(1, &version))
    }

    /// What the run is, with its configuration.
    pub(super) fn run(run: &Run, started: SystemTime) -> Self {
        let config = keyed(Message::default(), 1, &entries(&run.config));
        let mut message = Message::default().text(1, &run.id);
        if let Some(entity) = &run.entity {
            message = message.text(2, entity);
        }
        message = message.text(3, &run.project).message(4, &config);
        if let Some(group) = &run.group {
            message = message.text(6, group);
        }
        message = message.text(8, &run.name);
        for tag in &run.tags {
            message = message.text(10, tag);
        }
        let message = message.text(13, &run.host);
        Self(RUN, message.message(17, &timestamp(started)))
    }
}

impl Record {
    pub(super) fn body(&self) -> Body {
        let empty = Message::default;
        match self {
            Self::History { step, items } => {
                let step = empty().int(1, *step as i64);
                Body(HISTORY, keyed(empty(), 1, items).message(2, &step))
            }
            Self::Summary(items) => Body(SUMMARY, keyed(empty(), 1, items)),
            Self::Config(items) => Body(CONFIG, keyed(empty(), 1, items)),
            Self::Output {
                time,
                is_warning,
                line,
            } => {
                let kind = empty().int(1, i64::from(!is_warning)); // 0: stderr, which W&B shows as an error; 1: stdout
                let message = kind.message(2, &timestamp(*time));
                Body(OUTPUT_RAW, message.text(3, &format!("{line}\n")))
            }
            Self::Stats { time, items } => {
                // Unlike the others, these have a plain key.
                let add = |message: Message, (key, value): &(Vec<String>, Value)| {
                    let item = empty().text(1, &key.concat());
                    message.message(3, &item.text(VALUE_JSON, &value.to_string()))
                };
                let message = empty().message(2, &timestamp(*time));
                Body(STATS, items.iter().fold(message, add))
            }
            Self::Exit {
                code,
                runtime_seconds,
            } => {
                let message = empty().int(1, i64::from(*code));
                Body(EXIT, message.int(2, *runtime_seconds as i64))
            }
            Self::Began(time) => Body(RUN, empty().message(17, &timestamp(*time))),
            Self::Other => Body(NUM, empty()),
        }
    }

    /// Reads a record of a `.wandb` file.
    pub(super) fn parse(bytes: &[u8]) -> Self {
        let known = [HISTORY, SUMMARY, CONFIG, STATS, OUTPUT_RAW, RUN, EXIT];
        let Some((kind, body)) = Fields(bytes).find(|(field, _)| known.contains(field)) else {
            return Self::Other;
        };
        let field = |wanted: u64| find(body.fields(), wanted);
        match kind {
            HISTORY => Self::History {
                step: find(field(2).fields(), 1).int() as u64,
                items: items(body, 1),
            },
            SUMMARY => Self::Summary(items(body, 1)),
            CONFIG => Self::Config(items(body, 1)),
            RUN => Self::Began(system_time(field(17))),
            STATS => Self::Stats {
                time: system_time(field(2)),
                items: items(body, 3),
            },
            OUTPUT_RAW => Self::Output {
                is_warning: field(1).int() == 0,
                time: system_time(field(2)),
                line: field(3).text().trim_end_matches('\n').to_owned(),
            },
            _ => Self::Exit {
                code: field(1).int() as i32,
                runtime_seconds: field(2).int() as u64,
            },
        }
    }
}

/// The entries of a JSON object as items.
pub(super) fn entries(object: &Value) -> Items {
    let entries = object.as_object().into_iter().flatten();
    entries
        .map(|(key, value)| (vec![key.clone()], value.clone()))
        .collect()
}

fn keyed(message: Message, field: u64, items: &Items) -> Message {
    items.iter().fold(message, |message, (path, value)| {
        let item = path
            .iter()
            .fold(Message::default(), |item, part| item.text(NESTED_KEY, part));
        message.message(field, &item.text(VALUE_JSON, &value.to_string()))
    })
}

fn items(body: Field<'_>, field: u64) -> Items {
    let of_field = body.fields().filter(|(number, _)| *number == field);
    let item = |(_, item): (u64, Field<'_>)| {
        let mut path = Vec::new();
        let mut value = Value::Null;
        for (number, part) in item.fields() {
            match number {
                1 | NESTED_KEY => path.push(part.text().to_owned()),
                VALUE_JSON => value = serde_json::from_str(part.text()).unwrap_or_default(),
                _ => {}
            }
        }
        (path, value)
    };
    of_field.map(item).collect()
}

fn find(mut fields: Fields<'_>, wanted: u64) -> Field<'_> {
    let found = fields.find(|(field, _)| *field == wanted);
    found.map_or(Field::Int(0), |(_, value)| value) // protobuf leaves out what is 0
}

/// `google.protobuf.Timestamp`.
fn timestamp(time: SystemTime) -> Message {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    Message::default()
        .int(1, since.as_secs() as i64)
        .int(2, i64::from(since.subsec_nanos()))
}

fn system_time(field: Field<'_>) -> SystemTime {
    let part = |number| find(field.fields(), number).int();
    UNIX_EPOCH + Duration::new(part(1) as u64, part(2) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn records_come_back() {
        let time = UNIX_EPOCH + Duration::from_millis(1_795_641_373_775);
        let items = vec![
            (vec!["train/loss".into()], json!(0.25)),
            (vec!["_wandb".into(), "runtime".into()], json!(3)),
        ];
        let plain = vec![(vec!["cpu".into()], json!(12.5))];
        let records = [
            Record::History {
                step: 7,
                items: items.clone(),
            },
            Record::Summary(items.clone()),
            Record::Config(items),
            Record::Output {
                time,
                is_warning: true,
                line: "a line".into(),
            },
            Record::Stats { time, items: plain },
            Record::Began(time),
            Record::Exit {
                code: 143,
                runtime_seconds: 9,
            },
        ];
        for record in records {
            assert_eq!(Record::parse(&record.body().numbered(5)), record);
        }
    }
}
