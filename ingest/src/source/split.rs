//! The static split of a stream's shards among processes: `--task I/N`.
//!
//! It decides who reads what, and nothing else depends on it: two processes that disagree about it do each other no harm, and a
//! shard that no process counts as its own waits.

use std::fmt;
use std::str::FromStr;

use schemas::position::ShardId;

/// Most processes of one split.
pub const TASKS_MAX: u32 = 10_000;

/// Variables in which orchestrators tell the process its number and how many there are.
const ARRAY_JOBS: [(&str, &str); 2] =
    [("AWS_BATCH_JOB_ARRAY_INDEX", "AWS_BATCH_JOB_ARRAY_SIZE"), ("JOB_COMPLETION_INDEX", "JOB_COMPLETIONS")];

/// One of `of` processes, the first one 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Task {
    index: u32,
    of: u32,
}

impl Task {
    /// The only process.
    pub const WHOLE: Task = Task { index: 0, of: 1 };

    /// What an array job's variables say: AWS Batch's, then Kubernetes' (whose size is set by whoever writes the job).
    pub fn from_env(lookup: &dyn Fn(&str) -> Option<String>) -> Result<Option<Task>, String> {
        for (index, size) in ARRAY_JOBS {
            let Some(number) = lookup(index) else { continue };
            let Some(of) = lookup(size) else {
                return Err(format!("{index} is set and {size} is not: write --task {number}/N"));
            };
            return format!("{number}/{of}").parse().map(Some).map_err(|e| format!("{index}, {size}: {e}"));
        }
        Ok(None)
    }

    /// Whether a shard is this process's to read.
    ///
    /// By the number at the end of its name (`shardId-000000000012`) modulo N: the children of a reshard are numbered on, so they
    /// spread evenly. A name without a number goes by its CRC-32.
    pub fn has(&self, shard: &ShardId) -> bool {
        number(shard.as_str()) % u64::from(self.of) == u64::from(self.index)
    }
}

fn number(name: &str) -> u64 {
    let digits = name.len() - name.bytes().rev().take_while(u8::is_ascii_digit).count();
    name[digits..].parse().unwrap_or_else(|_| u64::from(crc32fast::hash(name.as_bytes())))
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

impl FromStr for Task {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.split_once('/').and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
        match numbers {
            Some((index, of)) if index < of && of <= TASKS_MAX => Ok(Task { index, of }),
            Some((index, of)) if of > 0 && of <= TASKS_MAX => {
                Err(format!("task {index} of {of}: tasks count from 0, so the last one is {}/{of}", of - 1))
            }
            _ => Err(format!("write I/N, for example 0/2 and 1/2 for two processes (at most {TASKS_MAX})")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shard_is_one_tasks() {
        for of in [1, 2, 3, 7] {
            let tasks: Vec<Task> = (0..of).map(|index| Task { index, of }).collect();
            let names = (0..50).map(|n| format!("s:shardId-{n:012}")).chain(["intake:ab-cd".into(), "s:x".into()]);
            for name in names {
                let shard = ShardId::new(name);
                assert_eq!(tasks.iter().filter(|task| task.has(&shard)).count(), 1, "{shard} of {of}");
            }
        }
        assert!(Task { index: 1, of: 4 }.has(&ShardId::new("s:shardId-000000000005")));
        assert!(Task::WHOLE.has(&ShardId::new("s:shardId-000000000005")));
    }

    #[test]
    fn an_array_job_says_which_task_it_is() {
        let of = |set: &'static [(&str, &str)]| {
            Task::from_env(&move |name| set.iter().find(|(n, _)| *n == name).map(|(_, value)| value.to_string()))
        };
        assert_eq!(of(&[]), Ok(None));
        let batch = of(&[("AWS_BATCH_JOB_ARRAY_INDEX", "2"), ("AWS_BATCH_JOB_ARRAY_SIZE", "4")]);
        assert_eq!(batch, Ok(Some(Task { index: 2, of: 4 })));
        let kubernetes = of(&[("JOB_COMPLETION_INDEX", "0"), ("JOB_COMPLETIONS", "3")]);
        assert_eq!(kubernetes, Ok(Some(Task { index: 0, of: 3 })));
        assert!(of(&[("JOB_COMPLETION_INDEX", "1")]).expect_err("no size").contains("write --task 1/N"));
        assert!(of(&[("JOB_COMPLETION_INDEX", "3"), ("JOB_COMPLETIONS", "3")]).expect_err("from 0").contains("2/3"));
    }

    #[test]
    fn what_is_no_task_is_said_how_to_write() {
        assert_eq!("3/4".parse(), Ok(Task { index: 3, of: 4 }));
        assert!("4/4".parse::<Task>().expect_err("counts from 0").contains("the last one is 3/4"));
        for text in ["", "1", "a/b", "-1/2", "0/0", "0/10001", "1/2/3"] {
            assert!(text.parse::<Task>().is_err(), "{text}");
        }
    }
}
