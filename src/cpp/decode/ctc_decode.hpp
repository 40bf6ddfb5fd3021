// Decoding of what a network trained with CTC puts out: the best path, and prefix beam search. The same
// for every instruction set; parallel over the rows of the batch, and never within one.
#pragma once

#include <cstdint>
#include <vector>

namespace lstmcore {

// What the inputs are. `scores` are taken as they are, and only their order counts.
enum class CtcInputs : int { log_probabilities, logits, probabilities, scores };

template <class T>
struct CtcBatch {
    long batch, steps, classes;
    const T* inputs;         // (batch, steps, classes) contiguous
    const int64_t* lengths;  // (batch); frames from there on are not looked at
    int blank;
    CtcInputs kind;
    int threads;
};

// What is wrong with a frame; found here because only here each is looked at.
struct CtcFault {
    enum Kind { none, nan, infinite, impossible, out_of_range, not_one } kind = none;
    long row = 0, step = 0;
    double value = 0;
};

// Prefixes of labels. A node stays for as long as its utterance is decoded: one that left the beam may
// come back, and its descendants must then find it.
class PrefixTrie {
    struct Node {
        int parent, label, first_child, sibling;
        int slot;  // place in the beam, or -1
    };
    std::vector<Node> nodes;

 public:
    static constexpr int root = 0;
    void clear() { nodes.assign(1, {-1, -1, -1, -1, -1}); }
    int parent(int node) const { return nodes[node].parent; }
    int& slot(int node) { return nodes[node].slot; }
    int child(int node, int label);  // made where there is none
    std::vector<int32_t> labels(int node) const;
};

// Where a language model stands after a prefix: its context, and the word begun.
struct ModelState {
    uint32_t context;
    int32_t word;
};

// What is added to the score of a prefix. Log probabilities are at most 0, so that no extension gains
// more than beta: those that could not enter the beam even so are not asked for.
class Scorer {
 public:
    const double alpha, beta;
    Scorer(double alpha, double beta) : alpha(alpha), beta(beta) {}
    virtual ~Scorer() = default;
    virtual void start(const PrefixTrie&) {}  // before each utterance
    virtual ModelState begin() = 0;
    // For the prefix at a node, in a state, extended by a label.
    virtual double extension(int node, const ModelState&, int label) = 0;
    virtual ModelState advance(const ModelState&, int label) = 0;
    virtual double end(const ModelState&) { return 0; }  // when the utterance is over

 protected:
    double weighted(double log_probability) const { return alpha > 0 ? alpha * log_probability : 0; }
};

struct BeamOptions {
    long width, top_paths;
    double cutoff;   // classes with a lower log probability do not extend a prefix at this step
    double beta;     // per label, where there is no scorer
    Scorer* scorer;  // or null; one that is not `shared` runs on the calling thread, in order
    bool shared;     // may be used by several threads at once
};

struct Labeling {
    std::vector<int32_t> labels;
    double score;
};

// One labeling for each row.
template <class T>
CtcFault ctc_greedy(const CtcBatch<T>&, bool merge_repeated, std::vector<Labeling>& results);

// At most top_paths for each row, the best first. `all_probabilities`: logits, all of which look like
// probabilities.
template <class T>
CtcFault ctc_beam_search(const CtcBatch<T>&, const BeamOptions&, std::vector<std::vector<Labeling>>& results,
                         bool& all_probabilities);

}  // namespace lstmcore
