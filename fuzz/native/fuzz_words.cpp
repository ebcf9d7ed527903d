// Fuzzes native/words.cpp: texts of letters, marks, tags and contractions in any order, each in a block of memory of
// its own. Python gives it valid UTF-8 alone, so that is what it gets here.
//
// Every word has a number of the table, words that are written with spaces between them are cut into themselves, and a
// table that knows nothing lists all words.
#include <algorithm>
#include <cstdlib>
#include <memory>

#include "words.hpp"

using namespace tidegate;

namespace {

constexpr const char* kPieces[] = {"<br />",
                                   "</b>",
                                   "<a href='x>y'>",
                                   "<a href=\"",
                                   "<p class=x ",
                                   "<!--",
                                   "-->",
                                   "<!DOCTYPE html>",
                                   "<grin>",
                                   "n't",
                                   "N’T",
                                   "can't",
                                   "'s",
                                   "’re",
                                   "'ll",
                                   "é",
                                   "É",
                                   "ß",
                                   "\xc2\xa0",
                                   "\xc2\x85",
                                   "\xc2\xad",
                                   "½",
                                   "×",
                                   "“",
                                   "…",
                                   "€",
                                   "я",
                                   "北",
                                   "🎉",
                                   "film",
                                   " ",
                                   "_",
                                   "n",
                                   "t",
                                   "'",
                                   "<"};
constexpr size_t kCount = sizeof kPieces / sizeof *kPieces;

void check(bool holds) {
  if (!holds) std::abort();
}

CutTexts cut(WordTable& table, const std::string& text, int32_t unknown) {
  const std::unique_ptr<char[]> own(new char[text.size()]);
  std::copy(text.begin(), text.end(), own.get());
  return table.cut({std::string_view(own.get(), text.size())}, unknown);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string text;
  for (size_t i = 0; i < size; ++i) {
    if (data[i] < 128)
      text.push_back(static_cast<char>(data[i]));
    else
      text.append(kPieces[(data[i] - 128) % kCount]);
  }
  const std::vector<std::string> tags{"a", "b", "br", "p"};
  WordTable table(tags), empty(tags);
  const CutTexts found = cut(table, text, WordTable::kNew), strange = cut(empty, text, 1);
  check(found.lengths.size() == 1 && found.lengths == strange.lengths && found.strangers.empty());
  if (found.lengths[0] == WordTable::kNotPlain) return 0;
  check(found.numbers.size() == static_cast<size_t>(found.lengths[0]));
  check(std::count(strange.strangers.begin(), strange.strangers.end(), '\n') == found.lengths[0]);

  const std::vector<std::string> words = table.words();
  std::string spaced;
  for (const int32_t number : found.numbers) spaced.append(words.at(static_cast<size_t>(number))).push_back(' ');
  check(cut(table, spaced, 0).numbers == found.numbers && table.size() == static_cast<int32_t>(words.size()));
  return 0;
}
