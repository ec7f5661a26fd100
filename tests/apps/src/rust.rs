// SPDX-License-Identifier: Apache-2.0
//
// What a Rust program asks of its system: threads, channels, locks, panics that
// are caught, files, time. With the argument "overflow" a thread uses up its
// stack, which the runtime reports before it aborts.
use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, Read, Seek, SeekFrom, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{mpsc, Arc, Barrier, Condvar, Mutex, Once, RwLock};
use std::time::{Duration, Instant};
use std::{env, fs, io, panic, process, thread};

fn threads() -> String {
    let sum = Arc::new(Mutex::new(0u64));
    let all: Vec<_> = (0..8)
        .map(|n| {
            let sum = Arc::clone(&sum);
            thread::Builder::new()
                .name(format!("worker {n}"))
                .stack_size(128 * 1024)
                .spawn(move || {
                    for i in 0..20000 {
                        *sum.lock().unwrap() += i % 7;
                    }
                    thread::current().name().unwrap().len()
                })
                .unwrap()
        })
        .collect();
    let names: usize = all.into_iter().map(|t| t.join().unwrap()).sum();
    let mut numbers = vec![1, 2, 3, 4];
    thread::scope(|s| {
        for n in numbers.iter_mut() {
            s.spawn(move || *n *= 10);
        }
    });
    format!("{} {names} {numbers:?}", sum.lock().unwrap())
}

fn channels() -> String {
    let (to, from) = mpsc::channel();
    for n in 0..4u64 {
        let to = to.clone();
        thread::spawn(move || (0..5000).for_each(|i| to.send(n * i).unwrap()));
    }
    drop(to);
    let sum: u64 = from.iter().sum();
    let (to, from) = mpsc::sync_channel(1);
    let t = thread::spawn(move || (0..1000).for_each(|i| to.send(i).unwrap()));
    let count = from.iter().count();
    t.join().unwrap();
    let (_keep, from) = mpsc::channel::<()>();
    let late = from.recv_timeout(Duration::from_millis(10));
    format!("{sum} {count} {late:?}")
}

fn locks() -> String {
    static ONCE: Once = Once::new();
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    let map = Arc::new(RwLock::new(HashMap::new()));
    let gate = Arc::new(Barrier::new(4));
    let turn = Arc::new((Mutex::new(0), Condvar::new()));
    let all: Vec<_> = (0..4)
        .map(|n| {
            let (map, gate, turn) = (map.clone(), gate.clone(), turn.clone());
            thread::spawn(move || {
                ONCE.call_once(|| {
                    RUNS.fetch_add(1, Ordering::SeqCst);
                });
                gate.wait();
                for i in 0..500 {
                    map.write().unwrap().insert(n * 1000 + i, i);
                    let _ = map.read().unwrap().len();
                }
                let (lock, changed) = &*turn;
                let mut now = lock.lock().unwrap();
                while *now != n {
                    now = changed.wait(now).unwrap();
                }
                *now += 1;
                changed.notify_all();
            })
        })
        .collect();
    for t in all {
        t.join().unwrap();
    }
    let last = *turn.0.lock().unwrap();
    let entries = map.read().unwrap().len();
    format!("{entries} {last} {}", RUNS.load(Ordering::SeqCst))
}

fn panics() -> String {
    panic::set_hook(Box::new(|_| {}));
    let caught = panic::catch_unwind(|| {
        let v: Vec<i32> = Vec::new();
        v[env::args().count()]
    })
    .is_err();
    let poisoned = Arc::new(Mutex::new(1));
    let other = poisoned.clone();
    let ended = thread::spawn(move || {
        let _held = other.lock().unwrap();
        panic!("in a thread");
    })
    .join();
    let text = *ended.unwrap_err().downcast_ref::<&str>().unwrap();
    let _ = panic::take_hook();
    format!("{caught} {text} {}", poisoned.lock().is_err())
}

fn files(dir: &str) -> io::Result<String> {
    let name = format!("{dir}/file");
    let mut f = fs::OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&name)?;
    for i in 0..1000 {
        writeln!(f, "line {i}")?;
    }
    f.seek(SeekFrom::Start(5))?;
    let mut four = [0; 4];
    f.read_exact(&mut four)?;
    let lines = io::BufReader::new(fs::File::open(&name)?).lines().count();
    fs::create_dir_all(format!("{dir}/a/b/c"))?;
    fs::hard_link(&name, format!("{dir}/a/b/c/linked"))?;
    let size = fs::metadata(format!("{dir}/a/b/c/linked"))?.len();
    let copied = fs::copy(&name, format!("{dir}/copy"))?;
    fs::rename(format!("{dir}/copy"), format!("{dir}/moved"))?;
    let mut names: Vec<_> = fs::read_dir(dir)?.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    let none = fs::read(format!("{dir}/none")).unwrap_err().kind();
    let full = fs::remove_dir(format!("{dir}/a")).unwrap_err().raw_os_error();
    fs::remove_dir_all(format!("{dir}/a"))?;
    Ok(format!("{four:?} {lines} {size} {copied} {names:?} {none:?} {full:?}"))
}

fn time() -> String {
    let start = Instant::now();
    thread::sleep(Duration::from_millis(30));
    let parked = thread::spawn(|| thread::park_timeout(Duration::from_secs(20)));
    parked.thread().unpark();
    parked.join().unwrap();
    let took = start.elapsed();
    let at = thread::available_parallelism().unwrap().get();
    format!("{} {}", took >= Duration::from_millis(30) && took < Duration::from_secs(10), at > 0)
}

fn memory() -> String {
    let mut map = BTreeMap::new();
    let mut x = 1u64;
    for i in 0..200_000u64 {
        x = x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        map.insert(x >> 40, vec![i; (x >> 60) as usize]);
    }
    let bytes: usize = map.values().map(|v| v.len()).sum();
    let mut big = vec![1u8; 64 << 20];
    big.resize(100 << 20, 2);
    format!("{} {bytes} {}", map.len(), big.iter().map(|b| *b as usize).sum::<usize>())
}

#[allow(unconditional_recursion)]
fn endless(n: u64) -> u64 {
    let room = [n; 100];
    std::hint::black_box(&room);
    endless(n + 1) + room[n as usize % 100]
}

fn main() {
    let dir = env::args().nth(1).unwrap();
    if dir == "overflow" {
        let t = thread::Builder::new().name("deep".into()).spawn(|| endless(0)).unwrap();
        let _ = t.join();
        return;
    }
    if dir == "panic" {
        panic!("the end");
    }
    println!("threads {}", threads());
    println!("channels {}", channels());
    println!("locks {}", locks());
    println!("panics {}", panics());
    println!("files {}", files(&dir).unwrap());
    println!("time {}", time());
    println!("memory {}", memory());
    process::exit(7);
}
