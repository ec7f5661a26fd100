// SPDX-License-Identifier: Apache-2.0
//
// What a Go program asks of its system: goroutines on several threads, the
// collector at work while others run tight loops (it stops them by signals),
// timers, signals to itself, deep stacks, files. Prints the same lines wherever
// it runs.
package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

type node struct {
	left, right *node
	data        [4]int
}

func tree(depth int) *node {
	if depth == 0 {
		return &node{}
	}
	return &node{left: tree(depth - 1), right: tree(depth - 1)}
}

func (n *node) count() int {
	if n == nil {
		return 0
	}
	return 1 + n.left.count() + n.right.count()
}

func goroutines() string {
	var wait sync.WaitGroup
	var sum int64
	work, results := make(chan int), make(chan int, 16)
	for w := 0; w < 50; w++ {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for n := range work {
				results <- n * n % 1000
			}
		}()
	}
	done := make(chan bool)
	go func() {
		for r := range results {
			sum += int64(r)
		}
		done <- true
	}()
	for i := 0; i < 20000; i++ {
		work <- i
	}
	close(work)
	wait.Wait()
	close(results)
	<-done
	var many sync.WaitGroup
	var n int64
	for i := 0; i < 10000; i++ {
		many.Add(1)
		go func() {
			runtime.Gosched()
			atomic.AddInt64(&n, 1)
			many.Done()
		}()
	}
	many.Wait()
	return fmt.Sprint(sum, n)
}

func maps() string {
	m := map[string]int{}
	var shared sync.Map
	var lock sync.RWMutex
	var wait sync.WaitGroup
	for w := 0; w < 4; w++ {
		wait.Add(1)
		go func(w int) {
			defer wait.Done()
			for i := 0; i < 5000; i++ {
				key := fmt.Sprintf("key %d", i%1000)
				lock.Lock()
				m[key] += w
				lock.Unlock()
				shared.Store(i, w)
				lock.RLock()
				_ = m[key]
				lock.RUnlock()
			}
		}(w)
	}
	wait.Wait()
	keys := make([]string, 0, len(m))
	total := 0
	for k, v := range m {
		keys = append(keys, k)
		total += v
	}
	sort.Strings(keys)
	n := 0
	shared.Range(func(_, _ any) bool { n++; return true })
	return fmt.Sprint(len(keys), keys[0], keys[999], total, n)
}

func collector() string {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	long := tree(16)
	var wait sync.WaitGroup
	var total int64
	for w := 0; w < 4; w++ {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for i := 0; i < 60; i++ {
				atomic.AddInt64(&total, int64(tree(11).count()))
			}
		}()
	}
	wait.Wait()
	finalised := make(chan bool, 1)
	func() {
		x := &node{}
		runtime.SetFinalizer(x, func(*node) { finalised <- true })
	}()
	ok := false
	for i := 0; i < 100 && !ok; i++ {
		runtime.GC()
		select {
		case ok = <-finalised:
		case <-time.After(10 * time.Millisecond):
		}
	}
	debug.FreeOSMemory()
	runtime.ReadMemStats(&after)
	return fmt.Sprint(total, long.count(), ok, after.NumGC > before.NumGC+3)
}

// Loops without a call in them: only a signal to the thread stops them, for the
// collector or for a look at all goroutines.
func preemption() string {
	var stop int32
	var rounds [3]int64
	var wait sync.WaitGroup
	spin := func(n *int64) {
		defer wait.Done()
		x := 1
		for atomic.LoadInt32(&stop) == 0 {
			for j := 0; j < 1<<22; j++ {
				x = x*1103515245 + 12345
			}
			*n++
		}
		if x == 0 {
			*n = 0
		}
	}
	start := time.Now()
	wait.Add(1)
	go spin(&rounds[0])
	for i := 0; i < 5; i++ {
		runtime.GC()
		time.Sleep(time.Millisecond)
	}
	wait.Add(2)
	go spin(&rounds[1])
	go spin(&rounds[2])
	for i := 0; i < 20; i++ {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		time.Sleep(time.Millisecond)
	}
	took := time.Since(start)
	atomic.StoreInt32(&stop, 1)
	wait.Wait()
	if took > 20*time.Second {
		return fmt.Sprint("stopping the loops took ", took)
	}
	return fmt.Sprint(rounds[0] > 0, rounds[1] > 0, rounds[2] > 0)
}

func timers() string {
	start := time.Now()
	tick := time.NewTicker(5 * time.Millisecond)
	for i := 0; i < 10; i++ {
		<-tick.C
	}
	tick.Stop()
	var fired int32
	for i := 0; i < 500; i++ {
		time.AfterFunc(time.Duration(i%20)*time.Millisecond, func() { atomic.AddInt32(&fired, 1) })
	}
	time.Sleep(60 * time.Millisecond)
	for i := 0; i < 200 && atomic.LoadInt32(&fired) < 500; i++ {
		time.Sleep(5 * time.Millisecond)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	<-ctx.Done()
	took := time.Since(start)
	return fmt.Sprint(atomic.LoadInt32(&fired), ctx.Err(), took >= 120*time.Millisecond && took < 10*time.Second)
}

func signals() string {
	got := make(chan os.Signal, 10)
	signal.Notify(got, syscall.SIGUSR1, syscall.SIGUSR2)
	me, _ := os.FindProcess(os.Getpid())
	var names []string
	for _, s := range []syscall.Signal{syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGUSR1} {
		if err := me.Signal(s); err != nil {
			return err.Error()
		}
		select {
		case r := <-got:
			names = append(names, r.String())
		case <-time.After(5 * time.Second):
			names = append(names, "lost")
		}
	}
	signal.Stop(got)
	signal.Ignore(syscall.SIGUSR1)
	me.Signal(syscall.SIGUSR1)
	time.Sleep(5 * time.Millisecond)
	return fmt.Sprint(names, len(got))
}

func panics() string {
	var said []string
	try := func(f func()) {
		defer func() { said = append(said, fmt.Sprint(recover())) }()
		f()
	}
	var nothing *node
	var few []int
	zero := 0
	try(func() { _ = nothing.left.left })
	try(func() { few[zero+3] = 1 })
	try(func() { zero = 1 / zero })
	try(func() { panic(errors.New("mine")) })
	debug.SetPanicOnFault(true)
	try(func() {
		page, err := syscall.Mmap(-1, 0, 4096, syscall.PROT_READ, syscall.MAP_ANON|syscall.MAP_PRIVATE)
		if err != nil {
			panic(err)
		}
		page[5] = 1
	})
	return strings.Join(said, "; ")
}

func deep(n int) int {
	var room [64]int
	room[n%64] = n
	if n == 0 {
		return 0
	}
	return deep(n-1) + room[n%64] - n + 1
}

func files(dir string) string {
	for i := 0; i < 30; i++ {
		os.WriteFile(filepath.Join(dir, fmt.Sprintf("file%02d", i)), bytes.Repeat([]byte{'x'}, i), 0o644)
	}
	os.Mkdir(filepath.Join(dir, "sub"), 0o755)
	os.Symlink("file01", filepath.Join(dir, "link"))
	list, err := os.ReadDir(dir)
	if err != nil {
		return err.Error()
	}
	total := int64(0)
	for _, e := range list {
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() {
			total += info.Size()
		}
	}
	walked := 0
	filepath.WalkDir(dir, func(string, os.DirEntry, error) error { walked++; return nil })
	_, missing := os.Open(filepath.Join(dir, "no"))
	_, notDir := os.ReadDir(filepath.Join(dir, "file01"))
	f, _ := os.OpenFile(filepath.Join(dir, "file05"), os.O_RDWR, 0)
	f.WriteAt([]byte("YZ"), 2)
	f.Truncate(4)
	text, _ := io.ReadAll(f)
	f.Close()
	r, w, _ := os.Pipe()
	go func() { io.CopyN(w, rand.Reader, 200000); w.Close() }()
	piped, _ := io.Copy(io.Discard, r)
	return fmt.Sprint(len(list), total, walked, errors.Is(missing, os.ErrNotExist), errors.Is(notDir, syscall.ENOTDIR), string(text), piped)
}

func computing() string {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	text := strings.Repeat("some words to be pressed ", 20000)
	io.WriteString(z, text)
	z.Close()
	back, _ := gzip.NewReader(&packed)
	again, _ := io.ReadAll(back)
	return fmt.Sprintf("%x %08x %v", sha256.Sum256([]byte(text)), crc32.ChecksumIEEE(again), string(again) == text)
}

// A thread of its own for each: they are made and end.
func threads() string {
	var wait sync.WaitGroup
	ids := make(chan int, 64)
	for i := 0; i < 32; i++ {
		wait.Add(1)
		go func() {
			defer wait.Done()
			runtime.LockOSThread() // not unlocked: the thread ends with the goroutine
			syscall.Nanosleep(&syscall.Timespec{Nsec: 2000000}, nil)
			ids <- syscall.Gettid()
		}()
	}
	wait.Wait()
	seen := map[int]bool{}
	for len(ids) > 0 {
		seen[<-ids] = true
	}
	return fmt.Sprint(len(seen) > 1)
}

// No network: whatever the host says, it is an error and not a wait.
func network() string {
	_, err := net.DialTimeout("tcp", "192.0.2.1:9", 50*time.Millisecond)
	ip := net.ParseIP("::1")
	return fmt.Sprint(err != nil, ip.IsLoopback())
}

func main() {
	runtime.GOMAXPROCS(2)
	dir := os.Args[1]
	for _, t := range []struct {
		name string
		run  func() string
	}{{"goroutines", goroutines}, {"maps", maps}, {"collector", collector}, {"preemption", preemption}, {"timers", timers},
		{"signals", signals}, {"panics", panics}, {"deep", func() string { return fmt.Sprint(deep(200000)) }},
		{"files", func() string { return files(dir) }}, {"computing", computing}, {"threads", threads}, {"network", network}} {
		fmt.Println(t.name, t.run())
	}
	os.Exit(5)
}
