// SPDX-License-Identifier: Apache-2.0
//
// C++ over threads: exceptions that cross them, futures, thread-local objects,
// exceptions out of a signal's handler, file systems, clocks, and containers
// under load.
#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <shared_mutex>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>
#include <unistd.h>

#define CHECK(c) do { if (!(c)) { std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #c); std::exit(1); } } while (0)

static std::atomic<int> alive, locals;
struct Counted {
	Counted() { alive++; }
	Counted(const Counted &) { alive++; }
	Counted &operator=(const Counted &) = default;
	~Counted() { alive--; }
};
struct Local {
	int value = 3;
	Local() { locals++; }
	~Local() { locals--; }
};
static thread_local Local local;

struct Error : std::runtime_error {
	int depth;
	Error(int d) : std::runtime_error("depth " + std::to_string(d)), depth(d) {}
};

static int dig(int n)
{
	Counted here;
	if (n == 0)
		throw Error(7);
	return dig(n - 1) + 1;
}

static void exceptions()
{
	std::vector<std::thread> threads;
	std::atomic<int> caught{0};
	for (int t = 0; t < 8; t++)
		threads.emplace_back([&] {
			for (int i = 0; i < 300; i++) {
				try {
					dig(i % 40);
					CHECK(!"thrown");
				} catch (const std::exception &e) {
					CHECK(dynamic_cast<const Error &>(e).depth == 7);
					try {
						std::throw_with_nested(std::logic_error("outer"));
					} catch (const std::logic_error &outer) {
						try {
							std::rethrow_if_nested(outer);
						} catch (const Error &inner) {
							caught += inner.what() == std::string("depth 7");
						}
					}
				}
			}
			CHECK(local.value++ == 3);
		});
	for (auto &t : threads)
		t.join();
	CHECK(caught == 2400 && alive == 0 && locals <= 1);
}

static void across()
{
	std::exception_ptr carried;
	std::thread([&] { try { dig(3); } catch (...) { carried = std::current_exception(); } }).join();
	try {
		std::rethrow_exception(carried);
	} catch (const Error &e) {
		CHECK(e.depth == 7);
	}
	std::vector<std::future<int>> results;
	for (int i = 0; i < 30; i++)
		results.push_back(std::async(std::launch::async, [i] { return i % 3 ? i : dig(i); }));
	int sum = 0, failed = 0;
	for (auto &r : results)
		try { sum += r.get(); } catch (const Error &) { failed++; }
	CHECK(sum == 300 && failed == 10 && alive == 0);
	std::promise<std::string> p;
	auto f = p.get_future();
	CHECK(f.wait_for(std::chrono::milliseconds(5)) == std::future_status::timeout);
	std::jthread late([&](std::stop_token) { p.set_value("kept"); });
	CHECK(f.get() == "kept");
}

// Compiled with -fnon-call-exceptions: a handler may throw out of the faulting
// instruction. clang takes the flag and means nothing by it.
#ifndef __clang__
static void on_fault(int)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGSEGV);
	sigprocmask(SIG_UNBLOCK, &set, nullptr);
	throw Error(99);
}
static int from_handler(volatile int *where)
{
	Counted here;
	return *where;
}
static void handlers()
{
	std::signal(SIGSEGV, on_fault);
	for (int i = 0; i < 200; i++) {
		try {
			from_handler(reinterpret_cast<volatile int *>(16));
			CHECK(!"fault");
		} catch (const Error &e) {
			CHECK(e.depth == 99 && alive == 0);
		}
	}
	std::signal(SIGSEGV, SIG_DFL);
}
#else
static void handlers() {}
#endif

static void locks()
{
	std::shared_mutex rw;
	std::mutex m;
	std::condition_variable changed;
	std::map<int, std::string> map;
	std::vector<std::jthread> threads;
	int turn = 0;
	for (int t = 0; t < 4; t++)
		threads.emplace_back([&, t] {
			for (int i = 0; i < 300; i++) {
				{
					std::unique_lock w(rw);
					map[t * 1000 + i] = std::string(static_cast<size_t>(i), 'x');
				}
				std::shared_lock r(rw);
				CHECK(map.at(t * 1000 + i).size() == static_cast<size_t>(i));
			}
			std::unique_lock l(m);
			changed.wait(l, [&] { return turn == t; });
			turn++;
			changed.notify_all();
		});
	threads.clear();
	CHECK(turn == 4 && map.size() == 1200);
	std::unique_lock l(m);
	CHECK(!changed.wait_for(l, std::chrono::milliseconds(10), [] { return false; }));
}

static void files()
{
	namespace fs = std::filesystem;
	fs::path base = "cxx." + std::to_string(::getpid());
	fs::create_directories(base / "a" / "b");
	{
		std::ofstream out(base / "a" / "f");
		for (int i = 0; i < 10000; i++)
			out << i << ' ' << i * 0.5 << '\n';
	}
	std::ifstream in(base / "a" / "f");
	std::string line;
	int lines = 0;
	while (std::getline(in, line))
		lines++;
	fs::copy(base / "a", base / "copy", fs::copy_options::recursive);
	fs::rename(base / "copy" / "f", base / "moved");
	fs::create_symlink("moved", base / "link");
	int seen = 0;
	for ([[maybe_unused]] auto &e : fs::recursive_directory_iterator(base))
		seen++;
	CHECK(lines == 10000 && seen == 7 && fs::file_size(base / "link") == fs::file_size(base / "a" / "f"));
	std::error_code ec;
	fs::remove(base, ec);
	CHECK(ec == std::errc::directory_not_empty);
	CHECK(fs::remove_all(base) == 8 && !fs::exists(base) && fs::space("/").capacity > 0);
	try {
		(void)fs::file_size(base);
		CHECK(!"thrown");
	} catch (const fs::filesystem_error &e) {
		CHECK(e.code() == std::errc::no_such_file_or_directory);
	}
}

int main()
{
	exceptions();
	across();
	handlers();
	locks();
	files();
	std::random_device random;
	CHECK(random() != random() || random() != random());
	try {
		std::vector<char> big(static_cast<size_t>(1) << 60);
		CHECK(!"memory");
	} catch (const std::bad_alloc &) {
	}
	std::cout << "ok" << std::endl;
	return 0;
}
