//! Two processes share a stream that is resharded all the time, over a store that refuses, drops answers and is slow, and are
//! killed, paused, stopped and doubled at random moments. In the end each event is stored once.
//!
//! `ALLUVIUM_TORTURE_KILLS` says how many kills (20), `ALLUVIUM_TORTURE_SEED` repeats a plan.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tests::alluvium::{Lake, Running, attribute_events};
use tests::emulator;
use tests::faulty_proxy::FaultyProxy;
use tests::kinesis::Stream;
use tests::numbered::{Producer, check};

use crate::end_to_end::kinesis_source;

const KILLS: u64 = 20;
const BUFFER: &str = "[buffer]\nage = \"400 ms\"\nidle = \"200 ms\"\nrows = 100\n";
const FAST: &str = "discover_every = \"1 s\"\nidle_poll = \"200 ms\"\n";

/// Open shards at most: the emulator is slow with many.
const SHARDS_MAX: usize = 5;

/// Between two puts: about 300 events per second, which the emulator can take beside its readers.
const PUT_PAUSE: Duration = Duration::from_millis(100);

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|e| panic!("{name}: {e}")))
}

#[test]
fn killed_paused_and_doubled_over_a_faulty_store_while_the_stream_is_resharded() {
    let seed = setting("ALLUVIUM_TORTURE_SEED").unwrap_or_else(rand::random);
    let kills = setting("ALLUVIUM_TORTURE_KILLS").unwrap_or(KILLS);
    println!("ALLUVIUM_TORTURE_SEED={seed}");
    let proxy = FaultyProxy::start(emulator::ministack().address(), seed);
    let stream = Stream::new(emulator::kinesis_local(), "torture", 2);
    let lake = Lake::s3("torture").through(&proxy.url());
    let sections = format!("{}{FAST}\n{}\n{BUFFER}", kinesis_source(&stream), attribute_events());
    let producer = producer(stream.clone());
    let resharder = Resharder::start(stream, seed);
    let mut pair = Pair::start(&lake, &sections, StdRng::seed_from_u64(seed));
    while pair.kills < kills {
        pair.step();
    }
    let reshards = resharder.stop();
    let put = producer.stop();
    let (done, restarts) = (pair.done.clone(), pair.restarts);
    drop(pair);
    proxy.heal();
    let last = Running::start(&lake, &sections);
    lake.until_cut(put.known.len());
    last.stop();
    let injected = proxy.injected();
    println!("{kills} kills, {restarts} restarts, {reshards} reshards, {} events, {injected:?}", put.known.len());
    println!("{}", done.join(" "));
    check(&lake, &put);
    assert!(reshards > 0, "the stream was never resharded");
    for counter in [&injected.refused, &injected.unanswered, &injected.half_answered, &injected.slow] {
        assert!(counter.load(Ordering::Relaxed) > 0, "a fault was never injected: {injected:?}");
    }
}

fn producer(stream: Stream) -> Producer {
    Producer::start(move |records| {
        thread::sleep(PUT_PAUSE);
        stream.try_put(records, |data| format!("{:?}", data.len() % 7))
    })
}

/// The two processes of the split, and what is done to them.
struct Pair {
    lakes: [Lake; 3],
    sections: String,
    random: StdRng,
    running: [Running; 2],
    kills: u64,
    restarts: u64,
    done: Vec<&'static str>,
}

const TASKS: [&str; 2] = ["0/2", "1/2"];

impl Pair {
    fn start(lake: &Lake, sections: &str, random: StdRng) -> Pair {
        let lakes = [lake.beside(), lake.beside(), lake.beside()];
        let running = [0, 1].map(|i| Running::spawn_task(&lakes[i], sections, TASKS[i]));
        let sections = sections.to_string();
        Pair { lakes, sections, random, running, kills: 0, restarts: 0, done: Vec::new() }
    }

    /// Lets them work for a moment, then does something to one or both.
    fn step(&mut self) {
        thread::sleep(Duration::from_millis(self.random.random_range(50..1500)));
        let one = self.random.random_range(0..2);
        let what = match self.random.random_range(0..20) {
            0..11 => {
                self.kill(one);
                "kill"
            }
            11..14 => {
                self.kill(0);
                self.kill(1);
                "kill-both"
            }
            14..16 => {
                self.running[one].signal("STOP");
                thread::sleep(Duration::from_millis(self.random.random_range(300..1500)));
                self.running[one].signal("CONT");
                "pause"
            }
            16..18 => self.pause_while_another_takes_over(one),
            _ => {
                self.running[one].signal("TERM");
                "stop"
            }
        };
        self.done.push(what);
        self.start_again();
    }

    fn kill(&mut self, one: usize) {
        self.running[one].kill();
        self.kills += 1;
    }

    /// A process that counts every shard as its own, while one of the pair is paused; then it is killed.
    fn pause_while_another_takes_over(&mut self, one: usize) -> &'static str {
        self.running[one].signal("STOP");
        let mut all = Running::spawn_task(&self.lakes[2], &self.sections, "0/1");
        thread::sleep(Duration::from_millis(self.random.random_range(200..2000)));
        self.running[one].signal("CONT");
        thread::sleep(Duration::from_millis(self.random.random_range(0..500)));
        assert!(all.is_alive() || all.ended(1).code() == Some(4), "ended by itself:\n{}", all.log());
        all.kill();
        self.kills += 1;
        "doubled"
    }

    /// Whoever has ended is started again, as a supervisor does. It may end by a signal of ours, or fenced, or stopped.
    fn start_again(&mut self) {
        for (i, task) in TASKS.iter().enumerate() {
            if self.running[i].is_alive() {
                continue;
            }
            let code = self.running[i].ended(1).code();
            assert!(matches!(code, None | Some(0 | 4)), "{task} ended with {code:?}:\n{}", self.running[i].log());
            self.running[i] = Running::spawn_task(&self.lakes[i], &self.sections, task);
            self.restarts += 1;
        }
    }
}

/// Splits, merges and resizes at random moments.
struct Resharder {
    stop: Arc<AtomicBool>,
    thread: thread::JoinHandle<u32>,
}

impl Resharder {
    fn start(stream: Stream, seed: u64) -> Resharder {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, mut random) = (stop.clone(), StdRng::seed_from_u64(seed ^ 1));
        let thread = thread::spawn(move || {
            let (mut done, mut pauses) = (0, 1);
            while !stopped.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(50));
                pauses -= 1;
                if pauses == 0 {
                    done += u32::from(reshard(&stream, &mut random));
                    pauses = random.random_range(20..100);
                }
            }
            done
        });
        Resharder { stop, thread }
    }

    fn stop(self) -> u32 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the resharder ends")
    }
}

fn reshard(stream: &Stream, random: &mut StdRng) -> bool {
    let open = stream.open_shards();
    let shard = &open[random.random_range(0..open.len())];
    match random.random_range(0..5) {
        0 => stream.try_resize(if open.len() > 2 { 2 } else { 4 }),
        1 | 2 if open.len() < SHARDS_MAX => stream.try_split(shard),
        _ => stream.neighbour(shard, &open).is_some_and(|other| stream.try_merge(shard, other)),
    }
}
