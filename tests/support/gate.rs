//! What stands between a simulated process and the world: open, shut while the process is paused, shut for good when it is dead.

use std::sync::{Arc, Mutex};

use tokio::sync::Notify;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    Running,
    Paused,
    Dead,
}

/// All of a process's requests and answers pass here. A paused process's timers go on; nobody outside can tell.
#[derive(Debug, Clone)]
pub struct Gate(Arc<Inside>);

#[derive(Debug)]
struct Inside {
    life: Mutex<Life>,
    /// Wakes in the order of waiting: the same in every run.
    changed: Notify,
}

impl Default for Gate {
    fn default() -> Self {
        Gate(Arc::new(Inside { life: Mutex::new(Life::Running), changed: Notify::new() }))
    }
}

impl Gate {
    /// Waits while the process is paused; for ever if it is dead.
    pub async fn pass(&self) {
        loop {
            let changed = self.0.changed.notified();
            match self.life() {
                Life::Running => return,
                Life::Paused => changed.await,
                Life::Dead => std::future::pending().await,
            }
        }
    }

    fn life(&self) -> Life {
        *self.0.life.lock().expect("nothing panics holding it")
    }

    /// The dead stay dead.
    fn become_if(&self, from: Life, to: Life) {
        let mut life = self.0.life.lock().expect("nothing panics holding it");
        if *life == from {
            *life = to;
        }
        drop(life);
        self.0.changed.notify_waiters();
    }

    pub fn pause(&self) {
        self.become_if(Life::Running, Life::Paused);
    }

    pub fn resume(&self) {
        self.become_if(Life::Paused, Life::Running);
    }

    pub fn kill(&self) {
        self.become_if(self.life(), Life::Dead);
    }

    pub fn is_paused(&self) -> bool {
        self.life() == Life::Paused
    }

    pub fn is_dead(&self) -> bool {
        self.life() == Life::Dead
    }
}
