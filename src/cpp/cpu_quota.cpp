#include "cpu_quota.hpp"

#include <algorithm>
#include <fstream>
#include <limits>
#include <sstream>
#include <vector>

namespace lstmcore {
namespace {

constexpr double no_limit = std::numeric_limits<double>::infinity();

std::vector<std::string> split(const std::string& text, char separator, std::size_t most) {
    std::vector<std::string> parts;
    std::istringstream stream(text);
    for (std::string part; parts.size() + 1 < most && std::getline(stream, part, separator);) parts.push_back(part);
    std::string rest;
    if (std::getline(stream, rest, '\0')) parts.push_back(rest);
    return parts;
}

bool names_cpu(const std::string& controllers) {
    const std::vector<std::string> names = split(controllers, ',', 100);
    return std::find(names.begin(), names.end(), "cpu") != names.end();
}

// mountinfo writes a space as \040.
std::string unescaped(const std::string& text) {
    std::string plain;
    for (std::size_t k = 0; k < text.size(); ++k) {
        const bool escape = text[k] == '\\' && k + 3 < text.size();
        const auto digit = [&](std::size_t place) { return text[k + place] - '0'; };
        plain += escape ? char(64 * digit(1) + 8 * digit(2) + digit(3)) : text[k];
        if (escape) k += 3;
    }
    return plain;
}

// The quota of one group.
double quota_of(const std::string& group, bool version_2) {
    double quota = -1, period = -1;
    if (version_2) {
        std::ifstream(group + "/cpu.max") >> quota >> period;  // "150000 100000" or "max 100000"
    } else {
        std::ifstream(group + "/cpu.cfs_quota_us") >> quota;  // -1: none
        std::ifstream(group + "/cpu.cfs_period_us") >> period;
    }
    return quota > 0 && period > 0 ? quota / period : no_limit;
}

// The least quota of the group at `path` and of those around it, up to where the hierarchy is mounted.
double least_quota(const std::string& mounted, std::string path, bool version_2) {
    double least = quota_of(mounted, version_2);
    for (; !path.empty(); path.erase(path.rfind('/'))) least = std::min(least, quota_of(mounted + path, version_2));
    return least;
}

}  // namespace

double cpu_quota(const std::string& root) {
    // Of each hierarchy a line "4:cpu,cpuacct:/path of the process's group"; version 2 has "0::/path".
    std::string path_1, path_2;
    std::ifstream groups(root + "/proc/self/cgroup");
    for (std::string line; std::getline(groups, line);) {
        const std::vector<std::string> parts = split(line, ':', 3);
        if (parts.size() != 3) continue;
        if (parts[1].empty()) path_2 = parts[2];
        if (names_cpu(parts[1])) path_1 = parts[2];
    }

    // "32 31 0:29 /part mounted /mount/point rw,relatime shared:9 - cgroup source rw,cpu"
    double least = no_limit;
    std::ifstream mounts(root + "/proc/self/mountinfo");
    for (std::string line; std::getline(mounts, line);) {
        std::string skip, part, point, type, options;
        std::istringstream words(line);
        words >> skip >> skip >> skip >> part >> point;
        while (words >> skip && skip != "-") continue;
        words >> type >> skip >> options;
        const bool version_2 = type == "cgroup2";
        if (!version_2 && !(type == "cgroup" && names_cpu(options))) continue;
        // The path as seen from the mount: a container may see but a part of the hierarchy, and its own group there.
        std::string path = version_2 ? path_2 : path_1;
        part = unescaped(part);
        if (part == "/") part.clear();
        const bool within = path.compare(0, part.size(), part) == 0 && path.substr(part.size(), 1) == "/";
        path = within && path.find("/..") == std::string::npos ? path.substr(part.size()) : "";
        if (path == "/") path.clear();
        least = std::min(least, least_quota(root + unescaped(point), path, version_2));
    }
    return least;
}

}  // namespace lstmcore
