# Fails where the system's oneDNN (libdnnl) and the one inside LibTorch are not kept apart: runs inference in TESTS
# and looks at what the dynamic linker bound to what, which it writes to LOG.
cmake_minimum_required(VERSION 3.25)
execute_process(COMMAND ${CMAKE_COMMAND} -E env LD_DEBUG=bindings LD_DEBUG_OUTPUT=${LOG}
    ${TESTS} --gtest_filter=Timing.*
  OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
file(GLOB logs ${LOG}.*)
set(own 0)
set(mixed "")
foreach(log IN LISTS logs)
  file(STRINGS ${log} lines REGEX "binding file [^ ]*/libdnnl[.][^ ]* .* to [^ ]*/libdnnl[.].*dnnl")
  list(LENGTH lines count)
  math(EXPR own "${own} + ${count}")
  file(STRINGS ${log} lines
    REGEX "/libdnnl[.][^ ]* .* to [^ ]*/lib(torch|c10)|/lib(torch|c10)[^ ]* .* to [^ ]*/libdnnl[.]")
  list(APPEND mixed ${lines})
  file(REMOVE ${log})
endforeach()
if(own EQUAL 0 OR mixed)
  list(JOIN mixed "\n" mixed)
  message(FATAL_ERROR "${own} symbols of libdnnl are its own, these are mixed up:\n${mixed}")
endif()
