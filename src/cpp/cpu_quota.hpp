// How much of the CPUs' time the control groups (cgroups) of Linux leave to this process.
#pragma once

#include <string>

namespace lstmcore {

// In CPUs; infinity where there is no limit. The least of the quotas of the process's own group and of those around
// it, in version 1 and 2. The files are looked for below `root`, for tests.
double cpu_quota(const std::string& root = "");

}  // namespace lstmcore
