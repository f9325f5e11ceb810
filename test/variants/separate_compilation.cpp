// SPDX-License-Identifier: BSL-1.0
// Asio's own code for the program of the variant separate_compilation.

#include <boost/asio/impl/src.hpp>
