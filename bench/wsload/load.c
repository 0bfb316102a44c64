// load.c - cheap epoll websocket load client: 1 producer + N viewers, one thread.
// build: gcc -O2 -o load load.c
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

typedef struct { int acked; int fd, state, stalled, id; uint64_t skip; int fin_pending; uint64_t got; int clen; uint8_t carry[8192]; int cap; int match; } conn;
static char *host="127.0.0.1"; static int port=8000; static char *vpath="/v", *ppath="/p", *extra="", *hello=NULL, *substr=NULL;
static int N=10, size=300, W=16, stall=0, viewer_only=0, deflate=0, idle=0, check=1, binary=0; static double rate=0, dur=1.5, warm=0.3, settle=0.3;
static char *pids="";
static int ep; static int wack=0, nacked=0; static conn *cs; static conn prod; static int nopen=0, nclosed=0;
static uint64_t sent=0, delivered=0, bad=0, bytes_in=0, pdeliv=0;
#define RING (1<<20)
static uint64_t *stime; 
static uint32_t *hist; // log-linear histogram in 1us buckets up to 4s -> use 10us up to 10 s
#define HB 2000000
static int measuring=0;
static uint64_t now_ns(void){struct timespec t;clock_gettime(CLOCK_MONOTONIC,&t);return t.tv_sec*1000000000ull+t.tv_nsec;}
static uint64_t tnow;
static uint8_t *rbuf; 
static uint8_t *obuf; static size_t olen=0, ooff=0, ocap=0; // producer output
static void die(const char*m){perror(m);exit(1);}
static double cpu_pids(void){ double tot=0; char b[256]; strncpy(b,pids,255); b[255]=0; for(char*t=strtok(b,",");t;t=strtok(NULL,",")){char f[64];snprintf(f,64,"/proc/%s/stat",t);FILE*h=fopen(f,"r");if(!h)continue;char l[1024];if(fgets(l,1024,h)){char*p=strrchr(l,')');unsigned long u,s; if(p&&sscanf(p+2,"%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",&u,&s)==2) tot+=(u+s)/(double)sysconf(_SC_CLK_TCK);}fclose(h);} return tot;}
static double cpu_self(void){struct rusage r;getrusage(RUSAGE_SELF,&r);return r.ru_utime.tv_sec+r.ru_utime.tv_usec/1e6+r.ru_stime.tv_sec+r.ru_stime.tv_usec/1e6;}
static long pss_kb(void){ long tot=0; char b[256]; strncpy(b,pids,255); b[255]=0; for(char*t=strtok(b,",");t;t=strtok(NULL,",")){char f[64];snprintf(f,64,"/proc/%s/smaps_rollup",t);FILE*h=fopen(f,"r");if(!h)continue;char l[256];while(fgets(l,256,h)){long k;if(sscanf(l,"Rss: %ld",&k)==1)tot+=k;}fclose(h);} return tot;}
static void conn_open(conn*c,char*path){ c->fd=socket(AF_INET,SOCK_STREAM,0); if(c->fd<0)die("socket"); struct sockaddr_in a={0};a.sin_family=AF_INET;a.sin_port=htons(port);inet_pton(AF_INET,host,&a.sin_addr); int one=1;setsockopt(c->fd,IPPROTO_TCP,TCP_NODELAY,&one,sizeof one); if(c->stalled){int rb=8192;setsockopt(c->fd,SOL_SOCKET,SO_RCVBUF,&rb,sizeof rb);} 
 int tries=0; while(connect(c->fd,(void*)&a,sizeof a)<0){ if(++tries>50)die("connect"); usleep(20000);} 
 char req[4096]; int n=snprintf(req,sizeof req,"GET %s HTTP/1.1\r\nHost: %s:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n%s%s\r\n",path,host,port,deflate?"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n":"",extra);
 if(send(c->fd,req,n,0)!=n)die("send req"); fcntl(c->fd,F_SETFL,fcntl(c->fd,F_GETFL)|O_NONBLOCK); c->state=0;c->clen=0;
 struct epoll_event e={.events=EPOLLIN,.data.ptr=c}; epoll_ctl(ep,EPOLL_CTL_ADD,c->fd,&e);}
static void frame_send(conn*c,int op,const uint8_t*p,size_t n){ uint8_t h[14+65536]; int k=0; h[k++]=0x80|op; if(n<126)h[k++]=0x80|n; else {h[k++]=0x80|126;h[k++]=n>>8;h[k++]=n;} memset(h+k,0,4);k+=4; memcpy(h+k,p,n); (void)!send(c->fd,h,k+n,MSG_NOSIGNAL);}
static void data_msg(conn*c,const uint8_t*pl,size_t have){ if(wack&&!c->acked){c->acked=1;nacked++;} // a complete message (or its beginning) arrived
  if(c==&prod){return;}
  if(substr){ if(!c->match) return; c->match=0; }
  if(viewer_only){ c->got++; if(measuring)delivered++; return; }
  uint64_t k=c->got++; if(check&&!deflate&&pl&&have>=22){ uint64_t s=0; for(int i=0;i<16;i++){int ch=pl[6+i];s=s*16+(ch<='9'?ch-'0':ch-'a'+10);} if(s!=k){bad++; if(s<sent) c->got=(k=s)+1; else {k%=sent?sent:1;}} }
  pdeliv++; if(measuring){delivered++; uint64_t d=(tnow-stime[k&(RING-1)])/10000; hist[d<HB?d:HB-1]++;}
}
static void on_close(conn*c){ if(c->fd>=0){epoll_ctl(ep,EPOLL_CTL_DEL,c->fd,NULL);close(c->fd);c->fd=-1;nclosed++;} }
static void parse(conn*c,uint8_t*p,size_t n){
  while(n){
    if(c->skip){ uint64_t s=c->skip<n?c->skip:n; if(substr&&!c->match&&memmem(p,s,substr,strlen(substr)))c->match=1; c->skip-=s;p+=s;n-=s; if(!c->skip&&c->fin_pending){c->fin_pending=0;data_msg(c,NULL,0);} continue; }
    if(n<2)break; int fin=p[0]&0x80, op=p[0]&15; uint64_t l=p[1]&127; int h=2; if(l==126){if(n<4)break;l=(p[2]<<8)|p[3];h=4;} else if(l==127){if(n<10)break;l=0;for(int i=0;i<8;i++)l=(l<<8)|p[2+i];h=10;}
    if(op>=8){ if(n<h+l)break; if(op==9)frame_send(c,10,p+h,l); if(op==8){on_close(c);return;} p+=h+l;n-=h+l;continue; }
    uint64_t min=substr?128:32, need=l<min?l:min; if(n<h+need)break; // the text of -m is looked for in the first 128 bytes: never cut in two
    uint64_t have=n-h; if(have>=l){ if(substr&&memmem(p+h,l,substr,strlen(substr)))c->match=1; if(fin)data_msg(c,p+h,l); p+=h+l;n-=h+l; }
    else { // partial payload
      if(substr&&memmem(p+h,have,substr,strlen(substr)))c->match=1;
      if(!viewer_only&&check&&!deflate&&have>=22&&c!=&prod&&fin){ /* check now */ uint64_t s=0; for(int i=0;i<16;i++){int ch=p[h+6+i];s=s*16+(ch<='9'?ch-'0':ch-'a'+10);} if(s!=c->got){bad++; if(s<sent)c->got=s;} }
      c->skip=l-have;c->fin_pending=!!fin;return; }
  }
  if(n>sizeof c->carry){fprintf(stderr,"carry\n");exit(1);} memcpy(c->carry,p,n);c->clen=n;
}
static void on_read(conn*c){
  if(c->stalled&&c->state==1)return;
  for(int it=0;it<4;it++){
    size_t off=c->clen; if(off)memcpy(rbuf,c->carry,off); ssize_t r=recv(c->fd,rbuf+off,(1<<20),0);
    if(r<0){ if(errno==EAGAIN)return; on_close(c);return;} if(r==0){on_close(c);return;}
    bytes_in+=r; size_t n=off+r; c->clen=0; tnow=now_ns();
    if(c->state==0){ uint8_t*e=memmem(rbuf,n,"\r\n\r\n",4); if(!e){memcpy(c->carry,rbuf,n);c->clen=n;continue;}
      if(!memmem(rbuf,20,"101",3)){fprintf(stderr,"handshake refused: %.200s\n",rbuf);exit(2);} 
      if(deflate==1&&!memmem(rbuf,n,"permessage-deflate",18)){fprintf(stderr,"no deflate negotiated\n");deflate=2;}
      c->state=1;nopen++; size_t used=e+4-rbuf; if(hello&&!wack){char*h=strdup(hello);for(char*t=strtok(h,"|");t;t=strtok(NULL,"|"))frame_send(c,1,(uint8_t*)t,strlen(t));free(h);} if(c->stalled){struct epoll_event ev={0};epoll_ctl(ep,EPOLL_CTL_DEL,c->fd,&ev);return;}
      if(n>used)parse(c,rbuf+used,n-used); }
    else parse(c,rbuf,n);
    if(c->fd<0||r<(1<<20))return;
  }
}
static void flush_prod(void){ while(ooff<olen){ssize_t w=send(prod.fd,obuf+ooff,olen-ooff,MSG_NOSIGNAL); if(w<0){ if(errno==EAGAIN){struct epoll_event e={.events=EPOLLIN|EPOLLOUT,.data.ptr=&prod};epoll_ctl(ep,EPOLL_CTL_MOD,prod.fd,&e);return;} die("producer send");} ooff+=w;} if(olen){olen=ooff=0; struct epoll_event e={.events=EPOLLIN,.data.ptr=&prod};epoll_ctl(ep,EPOLL_CTL_MOD,prod.fd,&e);} }
static uint8_t *tmpl; static int thl;
static char*bfile=NULL; static uint8_t*bbuf; static size_t blen;
static void mkb(void){FILE*f=fopen(bfile,"r");if(!f)die("bfile");static char t[1<<20];size_t n=fread(t,1,sizeof t-1,f);t[n]=0;fclose(f);bbuf=malloc(n+256);char*p=t;for(;;){char*e=memchr(p,0x1e,t+n-p);size_t l=e?(size_t)(e-p):(size_t)(t+n-p);int k=0;uint8_t h[14];h[k++]=0x81;if(l<126)h[k++]=0x80|l;else if(l<65536){h[k++]=0x80|126;h[k++]=l>>8;h[k++]=l;}else{h[k++]=0x80|127;for(int i=7;i>=0;i--)h[k++]=((uint64_t)l)>>(8*i);}memset(h+k,0,4);k+=4;memcpy(bbuf+blen,h,k);blen+=k;memcpy(bbuf+blen,p,l);blen+=l;if(!e)break;p=e+1;} size=n; check=0;}
static void mk(void){ if(bfile){mkb();return;} tmpl=malloc(size+16); int k=0; tmpl[k++]=0x80|(binary?2:1); if(size<126)tmpl[k++]=0x80|size; else if(size<65536){tmpl[k++]=0x80|126;tmpl[k++]=size>>8;tmpl[k++]=size;} else {tmpl[k++]=0x80|127;for(int i=7;i>=0;i--)tmpl[k++]=((uint64_t)size)>>(8*i);} memset(tmpl+k,0,4);k+=4;thl=k; uint8_t*p=tmpl+k; int n=snprintf((char*)p,size,"{\"t\":\"%016x\",\"d\":[",0); unsigned r=12345; while(n<size-12){r=r*1103515245+12345; n+=snprintf((char*)p+n,size-n,"%u.%u,",(r>>16)%100,(r>>8)%1000);} while(n<size-3)p[n++]='1'; p[n++]=']'; while(n<size-1)p[n++]=' '; p[n++]='}'; if(n>size){} }
static void produce(void){ static const char hx[]="0123456789abcdef"; if(bfile){if(olen+blen>ocap){ocap=(olen+blen)*2;obuf=realloc(obuf,ocap);}memcpy(obuf+olen,bbuf,blen);olen+=blen;stime[sent&(RING-1)]=now_ns();sent++;return;} uint8_t*q=tmpl+thl+6; uint64_t s=sent; for(int i=15;i>=0;i--){q[i]=hx[s&15];s>>=4;} size_t n=thl+size; if(olen+n>ocap){ocap=(olen+n)*2;obuf=realloc(obuf,ocap);} memcpy(obuf+olen,tmpl,n); olen+=n; stime[sent&(RING-1)]=now_ns(); sent++; }
static volatile int stop=0; static void onsig(int s){stop=1;}
static double pct(uint64_t tot,double q){uint64_t a=0,t=tot*q; for(int i=0;i<HB;i++){a+=hist[i];if(a>t)return i/100.0;} return -1;}
static void pump(int ms){ struct epoll_event ev[512]; int n=epoll_wait(ep,ev,512,ms); tnow=now_ns(); for(int i=0;i<n;i++){ conn*c=ev[i].data.ptr; if(!c)continue; if(ev[i].events&EPOLLOUT)flush_prod(); if(ev[i].events&(EPOLLIN|EPOLLHUP|EPOLLERR)) if(c->fd>=0)on_read(c);} }
int main(int ac,char**av){
  int o; while((o=getopt(ac,av,"H:p:v:P:n:s:w:r:d:D:S:c:zVi:e:h:m:kbW:L:B:A"))!=-1)switch(o){case 'H':host=optarg;break;case 'p':port=atoi(optarg);break;case 'v':vpath=optarg;break;case 'P':ppath=optarg;break;case 'n':N=atoi(optarg);break;case 's':size=atoi(optarg);break;case 'w':W=atoi(optarg);break;case 'r':rate=atof(optarg);break;case 'd':dur=atof(optarg);break;case 'S':stall=atoi(optarg);break;case 'c':pids=optarg;break;case 'z':deflate=1;break;case 'V':viewer_only=1;break;case 'i':idle=atoi(optarg);break;case 'e':extra=optarg;break;case 'h':hello=optarg;break;case 'm':substr=optarg;break;case 'k':check=0;break;case 'A':wack=1;break;case 'B':bfile=optarg;check=0;break;case 'b':binary=1;break;case 'W':warm=atof(optarg);break;case 'L':settle=atof(optarg);break;}
  signal(SIGTERM,onsig);signal(SIGINT,onsig);signal(SIGPIPE,SIG_IGN);
  { // allow extra escapes \r\n in -e
    char*x=malloc(strlen(extra)*2+8);char*d=x;for(char*s=extra;*s;s++){if(s[0]=='\\'&&s[1]=='n'){*d++='\r';*d++='\n';s++;}else *d++=*s;}*d=0;extra=x; }
  ep=epoll_create1(0); cs=calloc(N?N:1,sizeof(conn)); rbuf=malloc((1<<20)+16384); stime=calloc(RING,8); hist=calloc(HB,4);
  long rss0=pss_kb(); double tc0=now_ns()/1e9; double scpu_c0=cpu_pids();
  for(int i=0;i<N;i++){cs[i].id=i;cs[i].stalled=i<stall;conn_open(&cs[i],vpath); while(i-nopen>64&&nclosed==0)pump(100);} uint64_t tdl=now_ns()+20000000000ull; while(nopen<N&&now_ns()<tdl&&!nclosed)pump(50);
  if(wack){uint64_t td=now_ns()+20000000000ull; while(nacked<N&&now_ns()<td&&!nclosed)pump(50); usleep(100000); if(hello)for(int i=0;i<N;i++){char*h=strdup(hello);for(char*t=strtok(h,"|");t;t=strtok(NULL,"|"))frame_send(&cs[i],1,(uint8_t*)t,strlen(t));free(h);}}
  if(nopen<N){fprintf(stderr,"only %d of %d viewers opened, closed %d\n",nopen,N,nclosed);printf("{\"err\":\"open %d/%d\"}\n",nopen,N);return 3;}
  double tconn=now_ns()/1e9-tc0; double scpu_conn=cpu_pids()-scpu_c0;
  { uint64_t te=now_ns()+(uint64_t)(settle*1e9); while(now_ns()<te)pump(10);} 
  long rss1=pss_kb();
  if(idle){ double c0=cpu_pids(),t0=now_ns()/1e9; uint64_t te=now_ns()+(uint64_t)idle*1000000000ull; while(now_ns()<te&&!stop)pump(100); double c1=cpu_pids(),t1=now_ns()/1e9; printf("{\"n\":%d,\"conn_s\":%.3f,\"conn_cpu_s\":%.3f,\"rss0_kb\":%ld,\"rss1_kb\":%ld,\"rss2_kb\":%ld,\"kb_per_conn\":%.2f,\"idle_cpu_pct\":%.3f,\"closed\":%d}\n",N,tconn,scpu_conn,rss0,rss1,pss_kb(),(double)(rss1-rss0)/N,100*(c1-c0)/(t1-t0),nclosed); return 0; }
  if(viewer_only){ printf("ready %d\n",N);fflush(stdout); if(warm>0){uint64_t te=now_ns()+(uint64_t)(warm*1e9);while(now_ns()<te&&!stop)pump(20);} measuring=1; double c0=cpu_pids(),s0=cpu_self(),t0=now_ns()/1e9; while(!stop&&now_ns()/1e9-t0<dur)pump(20); double t1=now_ns()/1e9; printf("{\"n\":%d,\"deliv\":%lu,\"deliv_s\":%.1f,\"cli_cpu\":%.2f,\"srv_cpu\":%.2f,\"bytes\":%lu,\"closed\":%d,\"secs\":%.3f}\n",N,delivered,delivered/(t1-t0),(cpu_self()-s0)/(t1-t0),(cpu_pids()-c0)/(t1-t0),bytes_in,nclosed,t1-t0);return 0; }
  conn_open(&prod,ppath); nopen=0; tdl=now_ns()+10000000000ull; while(nopen<1&&now_ns()<tdl)pump(50); if(nopen<1){printf("{\"err\":\"producer\"}\n");return 4;} if(wack){uint64_t td=now_ns()+5000000000ull; while(!prod.acked&&now_ns()<td)pump(20); if(!prod.acked||prod.fd<0){printf("{\"err\":\"producer ack\"}\n");return 5;}}
  { uint64_t te=now_ns()+100000000ull; while(now_ns()<te)pump(10);} 
  mk(); int live=N-stall; uint64_t t0=now_ns(), tw=t0+(uint64_t)(warm*1e9), te=tw+(uint64_t)(dur*1e9); double c0=0,s0=0; uint64_t sent0=0; double tm0=0,tm1=0;
  int tfd=-1; uint64_t nexts=t0; if(rate>0){tfd=timerfd_create(CLOCK_MONOTONIC,TFD_NONBLOCK); struct epoll_event e={.events=EPOLLIN,.data.ptr=NULL};epoll_ctl(ep,EPOLL_CTL_ADD,tfd,&e);} 
  double per=rate>0?1e9/rate:0; uint64_t base=t0, cnt=0; uint64_t maxq=0; uint64_t lastprog=now_ns(), lastd=0; int hung=0;
  while(!stop){ uint64_t t=now_ns(); if(!measuring&&t>=tw){measuring=1;c0=cpu_pids();s0=cpu_self();sent0=sent;tm0=now_ns()/1e9;} if(t>=te)break;
    if(rate>0){ while(base+(uint64_t)(cnt*per)<=t){ if(olen-ooff<(64u<<20)&&sent*live-pdeliv<(uint64_t)(RING/2)*live)produce(); cnt++; } nexts=base+(uint64_t)(cnt*per); flush_prod(); struct itimerspec it={0}; it.it_value.tv_sec=nexts/1000000000ull;it.it_value.tv_nsec=nexts%1000000000ull; timerfd_settime(tfd,TFD_TIMER_ABSTIME,&it,NULL); }
    else { while((sent*live-pdeliv)<=(uint64_t)(W-1)*live) produce(); flush_prod(); }
    uint64_t q=sent*live-pdeliv; if(q>maxq)maxq=q;
    if(pdeliv!=lastd){lastd=pdeliv;lastprog=t;} else if(t-lastprog>3000000000ull){hung=1;break;}
    pump(50); }
  if(!measuring){c0=cpu_pids();s0=cpu_self();tm0=now_ns()/1e9;}
  tm1=now_ns()/1e9; double c1=cpu_pids(),s1=cpu_self(); uint64_t dm=delivered, sentm=sent-sent0; measuring=rate>0; // in rate mode count late ones too
  long rss2=pss_kb(); uint64_t dd=now_ns()+3000000000ull; while(pdeliv<sent*live&&now_ns()<dd&&!hung&&!stop){flush_prod();pump(20);} 
  uint64_t tot=0; for(int i=0;i<HB;i++)tot+=hist[i];
  double secs=tm1-tm0;
  printf("{\"n\":%d,\"size\":%d,\"w\":%d,\"rate\":%.0f,\"deliv_s\":%.0f,\"patch_s\":%.1f,\"p50_ms\":%.2f,\"p99_ms\":%.2f,\"p999_ms\":%.2f,\"cli_cpu\":%.2f,\"srv_cpu\":%.2f,\"us_per_deliv\":%.3f,\"bad\":%lu,\"lost\":%ld,\"closed\":%d,\"hung\":%d,\"maxq\":%lu,\"conn_s\":%.3f,\"rss0_kb\":%ld,\"rss1_kb\":%ld,\"rss2_kb\":%ld,\"mb_s\":%.1f,\"bytes_in\":%lu}\n",N,size,W,rate,dm/secs,sentm/secs,pct(tot,0.5),pct(tot,0.99),pct(tot,0.999),(s1-s0)/secs,(c1-c0)/secs,dm?1e6*(c1-c0)/dm:0,bad,(long)(sent*live-pdeliv),nclosed,hung,maxq,tconn,rss0,rss1,rss2,dm/secs*size/1e6,bytes_in);
  return 0; }
