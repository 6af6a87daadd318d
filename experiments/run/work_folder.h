// The folder of --workers: trials that processes on any number of machines share out, if all see
// the folder. A trial is a piece of work that depends on nothing but what every process knows, such
// as one training; doing it twice gives the same.
//
//   FOLDER/trials/inputs.txt             all that the results depend on
//   FOLDER/trials/workers/WORKER         a process's lease: a number that it increases
//   FOLDER/trials/TRIAL.0.free           the ticket of a trial, renamed by who takes it
//   FOLDER/trials/TRIAL.2-WORKER.taken   ... taken for the second time
//   FOLDER/trials/TRIAL.2-WORKER/        what that worker works on
//   FOLDER/trials/TRIAL.done/            the results
//
// All that is asked of the file system is that renaming is atomic: of several processes that rename
// a file or a folder one succeeds, and a folder does not replace another that holds something. No
// file is locked, and no clock is compared with another machine's.
#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

namespace ridgewalk {

// --workers and --lease.
struct Workers {
  std::string folder;
  double lease_seconds = 0;
};

// A trial that this process works on.
struct TakenTrial {
  std::string name;
  std::string folder;     // for no other process, with what an earlier worker left of the trial
  std::string ticket;     // a file
  std::stop_source stop;  // requested when another has taken the trial, or the lease is not renewed
};

// Functions may be called by several threads, and throw std::runtime_error when the disk is full or
// broken, Error when the folder is damaged.
class WorkFolder {
 public:
  // Where the folder holds no trials yet, it gets these. Throws Error when it cannot be written,
  // or holds trials with other inputs. A worker whose lease does not change for `lease_seconds` by
  // this process's clock has lost its trials.
  WorkFolder(const std::string& path, const std::string& inputs, std::vector<std::string> trials,
             double lease_seconds);
  // Gives back what is not published.
  ~WorkFolder();
  WorkFolder(const WorkFolder&) = delete;
  WorkFolder& operator=(const WorkFolder&) = delete;

  // What the constructor was given; empty where the folder holds no trials.
  static std::string inputs_of(const std::string& path);
  // What the first process that asked proposed; for what each would settle in its own way. A file
  // of that name in the folder, which need not exist.
  static std::string settled(const std::string& path, const std::string& name,
                             const std::function<std::string()>& propose);

  // The first trial that is free or whose worker is lost; nothing where there is none at present.
  std::optional<TakenTrial> take();
  // Whether no other process has taken it meanwhile.
  bool has(const TakenTrial& trial) const;
  // Makes the trial's folder its results, unless another process was faster: they are the same.
  void publish(const TakenTrial& trial);
  // So that another worker can go on with it at once.
  void give_back(const TakenTrial& trial) noexcept;

  // Throws what kept the lease from being renewed.
  void require_lease() const;

  bool all_done() const;
  // The folder of a trial's results.
  std::string results(const std::string& trial) const { return path_ + "/" + trial + ".done"; }

  // One of the processes leads: it stays until all trials are done, and does what comes after.
  enum class Leader {
    kThis,
    kAnother,   // which has been seen at work within the lease
    kUnknown,   // until the lease of the last one has run out, or changed
    kFinished,  // since this process began: nothing is left to do
  };
  // Takes the lead where nobody has it. A process that led finds here that it has lost the lead.
  Leader leader();
  // Says that what comes after the trials is done as well.
  void finish_lead();

  // How long to wait before asking again what there is to do.
  std::chrono::duration<double> patience() const {
    return std::chrono::duration<double>(std::min(1.0, lease_.count() / 20));
  }

 private:
  struct Ticket {
    std::string trial;
    int attempt = 0;
    std::string worker;
    std::string state;  // free, taken, finished

    static std::optional<Ticket> parse(const std::string& file);
    std::string id() const;  // TRIAL.2-WORKER
    std::string file() const { return id() + "." + state; }
  };
  struct Listing {
    std::map<std::string, Ticket> tickets;                    // by trial
    std::set<std::string> done;                               // trials
    std::map<std::string, std::map<int, std::string>> begun;  // folders, by trial and attempt
  };
  // A text that changes while its writer is alive.
  struct Sign {
    std::string text;
    std::chrono::steady_clock::time_point since;  // when it was first seen
    bool has_changed = false;                     // within a lease
  };
  using Lock = std::unique_lock<std::mutex>;

  void create(const std::string& inputs);
  void require_folder() const;
  void require_inputs(const std::string& inputs) const;
  Listing list() const;
  const Sign& watch(const std::string& name, const std::string& text);
  bool has_expired(const Sign& sign) const;
  const Sign& watch_worker(const std::string& worker);
  const Ticket* ticket(const Listing& listing, const std::string& trial);
  std::optional<Ticket> take_ticket(const Listing& listing, const std::string& trial);
  std::optional<TakenTrial> begin(const Ticket& mine);
  bool rename_ticket(const Ticket& from, const Ticket& to) const;
  void forget(const TakenTrial& trial);
  void renew_lease(std::stop_token end);
  void write_lease();
  std::string path(const std::string& name) const { return path_ + "/" + name; }

  const std::string path_;
  const std::vector<std::string> trials_;
  const std::chrono::duration<double> lease_;
  const std::string worker_;  // a name that no other process has
  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable_any end_;
  std::map<std::string, Sign> signs_;
  std::map<std::string, TakenTrial> taken_;  // by ticket
  std::optional<Ticket> lead_;
  std::optional<int> finished_before_;  // attempt of who had finished when this process began
  std::exception_ptr failure_;          // of renewing the lease
  uint64_t sequence_ = 0;               // of the lease
  std::jthread heartbeat_;
};

}  // namespace ridgewalk
