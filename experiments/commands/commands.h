// The subcommands of the program, one per file: commands/COMMAND.cc.
#pragma once

#include <string>
#include <vector>

namespace ridgewalk {

using Arguments = std::vector<std::string>;

// Each returns the exit code and throws Error for what the user can correct.
int search_command(const Arguments& arguments);
int rank_command(const Arguments& arguments);
int front_command(const Arguments& arguments);
int compare_command(const Arguments& arguments);
int sweep_command(const Arguments& arguments);
int describe_command(const Arguments& arguments);
int distill_command(const Arguments& arguments);
int train_command(const Arguments& arguments);
int evaluate_command(const Arguments& arguments);
int classify_command(const Arguments& arguments);
int quantize_command(const Arguments& arguments);
int export_command(const Arguments& arguments);
int fit_command(const Arguments& arguments);
int calibrate_command(const Arguments& arguments);
int bench_command(const Arguments& arguments);

// `ridgewalk --version`: environment(), with the cores that this process may use as threads.
void print_version();

}  // namespace ridgewalk
