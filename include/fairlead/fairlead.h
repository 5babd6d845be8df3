/* fairlead.h - the whole installed interface. */
#ifndef FAIRLEAD_FAIRLEAD_H
#define FAIRLEAD_FAIRLEAD_H

#include <fairlead/admin.h>
#include <fairlead/alloc.h>
#include <fairlead/balance.h>
#include <fairlead/blocking.h>
#include <fairlead/call.h>
#include <fairlead/channel.h>
#include <fairlead/connmgr.h>
#include <fairlead/discovery.h>
#include <fairlead/error.h>
#include <fairlead/handle.h>
#include <fairlead/health.h>
#include <fairlead/log.h>
#include <fairlead/request.h>
#include <fairlead/runtime.h>
#include <fairlead/version.h>

#endif
