// SPDX-License-Identifier: BSD-2-Clause
// From single measurements to figures: the median of some, and the mean of many.
#pragma once

#include <stdint.h>

namespace bench {

/// A figure: median of single shots, and a hundredfold mean.
struct Figure {
    uint64_t median;
    uint64_t hundredfold_mean;
};

inline constexpr unsigned warm_up_shots = 16;
inline constexpr unsigned single_shots = 33;
inline constexpr uint64_t rounds = 10'000;

/// The median of `single_shots` values; they are sorted.
inline uint64_t median(uint64_t (&values)[single_shots])
{
    for (unsigned i = 1; i < single_shots; ++i) {
        const uint64_t value = values[i];
        unsigned place = i;
        for (; place > 0 && values[place - 1] > value; --place)
            values[place] = values[place - 1];
        values[place] = value;
    }
    return values[single_shots / 2];
}

/// Two figures of one series of shots: `second` tells the second one behind each.
template <class Measured, class Second>
void figures_of(Measured shot, Second second, Figure& first_figure, Figure& second_figure)
{
    uint64_t values[2][single_shots];
    for (unsigned i = 0; i < warm_up_shots; ++i)
        shot();
    for (unsigned i = 0; i < single_shots; ++i) {
        values[0][i] = shot();
        values[1][i] = second();
    }
    uint64_t sums[2] {};
    for (uint64_t i = 0; i < rounds; ++i) {
        sums[0] += shot();
        sums[1] += second();
    }
    first_figure = {median(values[0]), sums[0] * 100 / rounds};
    second_figure = {median(values[1]), sums[1] * 100 / rounds};
}

/// Median of what `shot` returns, after some that do not count.
template <class Measured>
uint64_t median_of(Measured shot)
{
    uint64_t values[single_shots];
    for (unsigned i = 0; i < warm_up_shots; ++i)
        shot();
    for (uint64_t& value : values)
        value = shot();
    return median(values);
}

/// Median, and mean of so many more: `count` is less where an operation is long.
template <class Measured>
Figure figure_of(Measured shot, uint64_t count = rounds)
{
    const uint64_t middle = median_of(shot);
    uint64_t sum = 0;
    for (uint64_t i = 0; i < count; ++i)
        sum += shot();
    return {middle, sum * 100 / count};
}

} // namespace bench
