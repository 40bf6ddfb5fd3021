// N-gram language models with backoff (Katz 1987; the file format is that of the ARPA, as in SRILM's
// ngram-format(5)), and the scorer that beam search asks. Natural logarithms throughout.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "decode/ctc_decode.hpp"

namespace lstmcore {

class NGramTable {
    struct Node {                         // a sequence of tokens
        double log_probability, backoff;  // NaN where only longer ones are listed
        uint32_t parent, suffix;          // without the last token; the longest one listed without the first ones
        int token, length;
    };
    std::vector<Node> nodes;
    std::unordered_map<uint64_t, uint32_t> children;  // (node, token) -> node
    std::unordered_map<uint64_t, int32_t> spelling;   // (node, byte) -> node of the tree of spellings
    std::vector<int> spelled{-1};                     // by node: token, or -1
    double unknown;

    uint32_t find(uint32_t node, int token) const {
        const auto found = children.find(uint64_t(node) << 32 | uint32_t(token));
        return found == children.end() ? 0 : found->second;
    }

 public:
    static constexpr uint32_t empty = 0;
    const int begin, end, unknown_token;  // tokens, or -1

    NGramTable(const std::vector<std::string>& tokens, int begin, int end, int unknown_token, double unknown);
    void add(const std::vector<int>& tokens, double log_probability, double backoff);
    void finish();  // after the last one

    uint32_t start() const { return begin < 0 ? empty : find(empty, begin); }
    // Log probability of a token (-1: one that is not known) after a context, and the context behind it.
    double score(uint32_t context, int token, uint32_t& next) const;
    int32_t spell(int32_t node, const std::string& text) const;  // -1: no token begins so
    int token(int32_t node) const { return node < 0 ? -1 : spelled[node]; }
};

// Labels are tokens; or, with a separator, the labels between two of those spell one.
class NGramScorer : public Scorer {
    const NGramTable& table;
    const std::vector<std::string> labels;  // of the classes
    std::vector<int> tokens;
    const int separator;  // or -1

 public:
    NGramScorer(const NGramTable& table, std::vector<std::string> labels, int separator, double alpha, double beta);
    ModelState begin() override { return {table.start(), 0}; }
    double extension(int node, const ModelState&, int label) override;
    ModelState advance(const ModelState&, int label) override;
    double end(const ModelState&) override;
};

}  // namespace lstmcore
