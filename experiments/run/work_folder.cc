#include "experiments/run/work_folder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <random>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>

#include "experiments/run/difference.h"
#include "space/error.h"
#include "space/file.h"
#include "space/number.h"

namespace ridgewalk {
namespace {

namespace fs = std::filesystem;

constexpr const char* kTrials = "/trials";
constexpr const char* kInputs = "/inputs.txt";
constexpr const char* kLeader = "leader";
constexpr const char* kFree = "free";
constexpr const char* kTaken = "taken";
constexpr const char* kFinished = "finished";
constexpr const char* kRemedy = "remove the folder, or choose another --workers";

std::string new_worker() {
  std::random_device random;
  return fmt::format("{:08x}{:08x}", random(), random());
}

[[noreturn]] void fail(const std::string& path, int error) {
  throw_if_disk_failed(path, error);
  throw Error(path, 0,
              std::string("cannot be used (") + std::strerror(error) +
                  "); choose a folder for --workers that every worker may write to");
}

// What the error says of another process: it was faster.
bool is_gone(int error) { return error == ENOENT; }
bool is_there(int error) { return error == EEXIST || error == ENOTEMPTY; }

// 0, or the error.
int renamed(const std::string& from, const std::string& to) {
  return std::rename(from.c_str(), to.c_str()) == 0 ? 0 : errno;
}

void make_folder(const std::string& path) {
  if (::mkdir(path.c_str(), 0777) != 0) fail(path, errno);
}

void create_empty(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (descriptor < 0) fail(path, errno);
  ::close(descriptor);
}

// Only where nobody can rename it: files that another process has put into its place would go, too.
void remove_folder(const std::string& path) {
  std::error_code ignored;
  fs::remove_all(path, ignored);
}

// Whether it exists. A folder that may not be entered holds nothing.
bool exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

void rethrow(const std::exception_ptr& failure) {
  if (failure) std::rethrow_exception(failure);
}

}  // namespace

std::optional<WorkFolder::Ticket> WorkFolder::Ticket::parse(const std::string& file) {
  const size_t state = file.rfind('.');
  const size_t attempt = state == 0 || state == file.npos ? file.npos : file.rfind('.', state - 1);
  if (attempt == file.npos) return std::nullopt;
  std::string id = file.substr(attempt + 1, state - attempt - 1);
  const size_t dash = std::min(id.find('-'), id.size());
  const auto number = parse_whole(id.substr(0, dash));
  if (!number || *number < 0 || *number > 1'000'000'000) return std::nullopt;
  return Ticket{.trial = file.substr(0, attempt),
                .attempt = int(*number),
                .worker = dash == id.size() ? "" : id.substr(dash + 1),
                .state = file.substr(state + 1)};
}

std::string WorkFolder::Ticket::id() const {
  return fmt::format("{}.{}{}{}", trial, attempt, worker.empty() ? "" : "-", worker);
}

WorkFolder::WorkFolder(const std::string& path, const std::string& inputs,
                       std::vector<std::string> trials, double lease_seconds)
    : path_(path + kTrials),
      trials_(std::move(trials)),
      lease_(lease_seconds),
      worker_(new_worker()) {
  if (!exists(path_)) create(inputs);
  require_inputs(inputs);
  const Listing listing = list();
  const auto lead = listing.tickets.find(kLeader);
  if (lead != listing.tickets.end() && lead->second.state == kFinished) {
    finished_before_ = lead->second.attempt;
  }
  write_lease();
  heartbeat_ = std::jthread([this](std::stop_token end) { renew_lease(std::move(end)); });
}

WorkFolder::~WorkFolder() {
  heartbeat_.request_stop();
  heartbeat_.join();
  while (!taken_.empty()) give_back(TakenTrial(taken_.begin()->second));
  if (lead_) {
    Ticket free = *lead_;
    free.state = kFree;
    renamed(path(lead_->file()), path(free.file()));
  }
  ::unlink(path("workers/" + worker_).c_str());
}

// Prepared beside and renamed, so that tickets exist only once: a second set would have every trial
// done again.
void WorkFolder::create(const std::string& inputs) {
  const std::string folder = path_.substr(0, path_.size() - std::strlen(kTrials));
  std::error_code failed;
  fs::create_directories(folder, failed);
  if (failed) fail(folder, failed.value());
  const std::string prepared = path_ + "." + worker_;
  try {
    make_folder(prepared);
    make_folder(prepared + "/workers");
    write_file(prepared + kInputs, inputs);
    const auto add = [&](const std::string& trial) {
      const Ticket ticket{.trial = trial, .attempt = 0, .worker = "", .state = kFree};
      create_empty(prepared + "/" + ticket.file());
    };
    for (const std::string& trial : trials_) add(trial);
    add(kLeader);
    sync_to_disk(prepared);
    const int error = renamed(prepared, path_);
    if (error != 0 && !is_there(error)) fail(path_, error);
    if (error != 0) remove_folder(prepared);
    sync_to_disk(folder);
  } catch (...) {
    remove_folder(prepared);
    throw;
  }
}

std::string WorkFolder::settled(const std::string& path, const std::string& name,
                                const std::function<std::string()>& propose) {
  const std::string file = path + "/" + name;
  if (exists(file)) return read_file(file);
  std::error_code failed;
  fs::create_directories(path, failed);
  if (failed) fail(path, failed.value());
  const std::string own = file + "." + new_worker();
  write_file(own, propose());
  const int error = ::link(own.c_str(), file.c_str()) == 0 ? 0 : errno;  // never replaces a file
  ::unlink(own.c_str());
  if (error != 0 && !is_there(error)) fail(file, error);
  return read_file(file);
}

std::string WorkFolder::inputs_of(const std::string& path) {
  const std::string file = path + kTrials + kInputs;
  return exists(file) ? read_file(file) : "";
}

void WorkFolder::require_inputs(const std::string& inputs) const {
  const std::string file = path_ + kInputs;
  if (!exists(file)) {
    throw Error(path_, 0, std::string("is damaged: it has no inputs.txt; ") + kRemedy);
  }
  const std::string others = read_file(file);
  if (others == inputs) return;
  throw Error(
      path_, 0,
      "holds the trials of another command: " + first_difference("they have", others, inputs) +
          "; give what they were begun with, or another --workers");
}

void WorkFolder::require_folder() const {
  if (!exists(path_)) throw Error(path_, 0, "was removed; give the command again");
}

WorkFolder::Listing WorkFolder::list() const {
  require_folder();
  Listing listing;
  std::error_code failed;
  for (fs::directory_iterator entry(path_, failed); !failed && entry != fs::directory_iterator();
       entry.increment(failed)) {
    const std::string name = entry->path().filename();
    if (name.ends_with(".done")) {
      listing.done.insert(name.substr(0, name.size() - std::strlen(".done")));
    } else if (const auto ticket = Ticket::parse(name)) {
      const std::string& state = ticket->state;
      const bool is_ticket = state == kFree || state == kTaken || state == kFinished;
      if (is_ticket) listing.tickets[ticket->trial] = *ticket;
    }
    if (const auto folder = Ticket::parse(name + "." + kTaken)) {
      if (!folder->worker.empty()) listing.begun[folder->trial][folder->attempt] = name;
    }
  }
  if (failed) fail(path_, failed.value());
  return listing;
}

const WorkFolder::Sign& WorkFolder::watch(const std::string& name, const std::string& text) {
  const auto now = std::chrono::steady_clock::now();
  const auto [found, is_new] = signs_.try_emplace(name, Sign{text, now});
  Sign& sign = found->second;
  // Of a text that was last looked at long ago the writer may have died since it changed.
  if (sign.text != text) sign = {text, now, !is_new && now - sign.since < lease_};
  return sign;
}

bool WorkFolder::has_expired(const Sign& sign) const {
  return std::chrono::steady_clock::now() - sign.since >= lease_;
}

const WorkFolder::Sign& WorkFolder::watch_worker(const std::string& worker) {
  std::string lease;
  try {
    lease = read_file(path("workers/" + worker));
  } catch (const Error&) {  // it is gone
  }
  return watch("worker " + worker, lease);
}

// While files are renamed, a listing may miss one: that counts when it stays missing.
const WorkFolder::Ticket* WorkFolder::ticket(const Listing& listing, const std::string& trial) {
  const auto found = listing.tickets.find(trial);
  const Sign& sign = watch("ticket " + trial, found == listing.tickets.end() ? "gone" : "there");
  if (found != listing.tickets.end()) return &found->second;
  if (has_expired(sign)) {
    throw Error(path_, 0, "is damaged: it has no ticket of '" + trial + "'; " + kRemedy);
  }
  return nullptr;
}

// False where another process has done so. When a server repeats a request, it reports as missing a
// file that the first attempt has renamed.
bool WorkFolder::rename_ticket(const Ticket& from, const Ticket& to) const {
  const int error = renamed(path(from.file()), path(to.file()));
  if (error != 0 && !is_gone(error)) fail(path(from.file()), error);
  return error == 0 || exists(path(to.file()));
}

std::optional<WorkFolder::Ticket> WorkFolder::take_ticket(const Listing& listing,
                                                          const std::string& trial) {
  const Ticket* now = ticket(listing, trial);
  if (now == nullptr) return std::nullopt;
  if (now->state == kTaken && (now->worker == worker_ || !has_expired(watch_worker(now->worker)))) {
    return std::nullopt;
  }
  const Ticket mine{trial, now->attempt + 1, worker_, kTaken};
  return rename_ticket(*now, mine) ? std::optional(mine) : std::nullopt;
}

std::optional<TakenTrial> WorkFolder::take() {
  const Lock lock(mutex_);
  rethrow(failure_);
  const Listing listing = list();
  for (const std::string& trial : trials_) {
    if (listing.done.contains(trial)) continue;
    const auto mine = take_ticket(listing, trial);
    if (!mine) continue;
    if (auto taken = begin(*mine)) {
      taken_.emplace(taken->ticket, *taken);
      return taken;
    }
  }
  return std::nullopt;
}

// The folder of the last attempt is renamed too, so that its worker, should it go on, can neither
// publish nor change it.
std::optional<TakenTrial> WorkFolder::begin(const Ticket& mine) {
  TakenTrial taken{mine.trial, path(mine.id()), path(mine.file()), {}};
  const std::map<int, std::string> begun = list().begun[mine.trial];
  int error = ENOENT;
  for (auto last = begun.rbegin(); last != begun.rend() && error != 0; ++last) {
    error = renamed(path(last->second), taken.folder);
    if (error != 0 && !is_gone(error)) fail(taken.folder, error);
  }
  if (exists(results(mine.trial))) return std::nullopt;  // that worker has published it
  if (error != 0) make_folder(taken.folder);
  return taken;
}

bool WorkFolder::has(const TakenTrial& trial) const { return exists(trial.ticket); }

void WorkFolder::forget(const TakenTrial& trial) {
  const Lock lock(mutex_);
  taken_.erase(trial.ticket);
}

// The ticket stays taken: should the results be lost, its worker's lease runs out.
void WorkFolder::publish(const TakenTrial& trial) {
  forget(trial);
  const int error = renamed(trial.folder, results(trial.name));
  if (error != 0 && !is_gone(error) && !is_there(error)) fail(trial.folder, error);
  if (is_there(error)) {
    const std::string mine = trial.folder + ".dropped";
    if (renamed(trial.folder, mine) == 0) remove_folder(mine);
  }
  sync_to_disk(path_);
}

void WorkFolder::give_back(const TakenTrial& trial) noexcept {
  forget(trial);
  const size_t state = trial.ticket.rfind('.');
  renamed(trial.ticket, trial.ticket.substr(0, state + 1) + kFree);
}

bool WorkFolder::all_done() const {
  const std::set<std::string> done = list().done;
  return std::all_of(trials_.begin(), trials_.end(),
                     [&](const std::string& trial) { return done.contains(trial); });
}

WorkFolder::Leader WorkFolder::leader() {
  const Lock lock(mutex_);
  rethrow(failure_);
  if (lead_ && exists(path(lead_->file()))) return Leader::kThis;
  lead_.reset();  // another took it, since this process gave no sign of life for a lease
  const Listing listing = list();
  const Ticket* now = ticket(listing, kLeader);
  if (now != nullptr && now->state == kFinished && now->attempt != finished_before_) {
    return Leader::kFinished;
  }
  lead_ = take_ticket(listing, kLeader);
  if (lead_) return Leader::kThis;
  if (now == nullptr || now->state != kTaken) return Leader::kUnknown;
  const Sign& sign = watch_worker(now->worker);
  return sign.has_changed && !has_expired(sign) ? Leader::kAnother : Leader::kUnknown;
}

void WorkFolder::finish_lead() {
  const Lock lock(mutex_);
  if (!lead_) return;
  Ticket finished = *lead_;
  finished.state = kFinished;
  rename_ticket(*lead_, finished);
  lead_.reset();
}

// The rest of the line is for people: whose lease it is.
void WorkFolder::write_lease() {
  require_folder();
  char host[256] = "";
  ::gethostname(host, sizeof host - 1);
  write_file(path("workers/" + worker_),
             fmt::format("{} process {} of {}\n", ++sequence_, ::getpid(), host));
}

void WorkFolder::renew_lease(std::stop_token end) {
  constexpr int kOften = 6;  // times in a lease
  Lock lock(mutex_);
  while (!end_.wait_for(lock, end, lease_ / kOften, [&] { return end.stop_requested(); })) {
    lock.unlock();
    std::exception_ptr failure;
    try {
      write_lease();
    } catch (...) {
      failure = std::current_exception();
    }
    lock.lock();
    failure_ = failure;
    for (auto& [ticket, trial] : taken_) {
      if (failure || !exists(ticket)) trial.stop.request_stop();
    }
    if (failure) return;
  }
}

void WorkFolder::require_lease() const {
  const Lock lock(mutex_);
  rethrow(failure_);
}

}  // namespace ridgewalk
