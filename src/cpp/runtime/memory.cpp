#include "runtime/memory.hpp"

#include <pthread.h>

#include <cstdlib>
#include <mutex>
#include <vector>

#ifdef __linux__
#include <sys/mman.h>
#endif

namespace lstmcore {
namespace {

// Large blocks that were freed, kept for the next call: a fresh one costs a page fault and the
// zeroing of every page, several percent of a training step. At most `limit` bytes are kept,
// whatever shapes come; the oldest go first.
class Pool {
    struct Block {
        void* memory;
        std::size_t bytes;
    };
    std::vector<Block> blocks;
    std::size_t kept = 0;
    static constexpr std::size_t limit = std::size_t(256) << 20;

 public:
    static constexpr std::size_t smallest = std::size_t(256) << 10;  // below, malloc keeps them itself
    std::mutex mutex;

    Pool() { blocks.reserve(limit / smallest + 1); }  // giving back cannot fail

    void* take(std::size_t& bytes) {
        auto best = blocks.end();
        for (auto it = blocks.begin(); it != blocks.end(); ++it)
            if (it->bytes >= bytes && it->bytes <= 2 * bytes && (best == blocks.end() || it->bytes < best->bytes))
                best = it;
        if (best == blocks.end()) return nullptr;
        const Block block = *best;
        kept -= block.bytes;
        blocks.erase(best);
        bytes = block.bytes;
        return block.memory;
    }
    void give(void* memory, std::size_t bytes) {
        blocks.push_back({memory, bytes});
        kept += bytes;
        while (kept > limit) {
            kept -= blocks.front().bytes;
            std::free(blocks.front().memory);
            blocks.erase(blocks.begin());
        }
    }
    static bool keeps(std::size_t bytes) { return bytes >= smallest && bytes <= limit; }
};

Pool& pool() {
    static Pool* const pool = [] {
        // A fork while another thread is at it would leave the child's locked for ever.
        pthread_atfork([] { lstmcore::pool().mutex.lock(); }, [] { lstmcore::pool().mutex.unlock(); },
                       [] { lstmcore::pool().mutex.unlock(); });
        return new Pool;  // never destroyed: buffers may outlive static objects
    }();
    return *pool;
}

}  // namespace

void* take_block(std::size_t& bytes) {
    constexpr std::size_t huge = std::size_t(2) << 20;
    if (Pool::keeps(bytes)) {
        const std::lock_guard<std::mutex> lock(pool().mutex);
        if (void* const memory = pool().take(bytes)) return memory;
    }
    void* memory = nullptr;
    if (posix_memalign(&memory, bytes >= 2 * huge ? huge : 64, bytes)) throw OutOfMemory(bytes);
#ifdef MADV_HUGEPAGE
    if (bytes >= 2 * huge) madvise(memory, bytes / huge * huge, MADV_HUGEPAGE);
#endif
    return memory;
}

void give_block(void* memory, std::size_t bytes) noexcept {
    if (!Pool::keeps(bytes)) return std::free(memory);
    const std::lock_guard<std::mutex> lock(pool().mutex);
    pool().give(memory, bytes);
}

}  // namespace lstmcore
